import type { Charge } from "../../ledger/index.ts";

/**
 * Which state of a request an event tells. Counts only grow, so every posting that changes the charge gives a larger
 * revision, and a second export of an unchanged charge the same one: a sink that remembers ids takes nothing twice.
 */
export function revisionOf(charge: Charge): number {
  return charge.promptTokens + charge.cachedTokens + charge.completionTokens + charge.trainedTokens;
}
