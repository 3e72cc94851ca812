import type { InferenceServiceService } from "#proto";
import type { InferenceCore } from "../contract.ts";
import type { GuardedHandlers } from "./guard.ts";

export function inferenceHandlers(core: InferenceCore): GuardedHandlers<typeof InferenceServiceService> {
  return {
    generate: (request, { principal, signal }) => core.generate(principal, request, signal),
    score: (request, { principal, signal }) => core.score(principal, request, signal),
    countTokens: (request, { principal, signal }) => core.countTokens(principal, request, signal),
  };
}
