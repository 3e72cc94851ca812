import type { Claim, Millis, NanoUsd, Usage } from "#kernel";
import type { Rates } from "../prices/index.ts";
import { spentCounter } from "./contract.ts";
import { claimText, entryText, receivable, revenue } from "./line.ts";
import type { OpenBook } from "./open-book.ts";
import { decodeState, encodeState, firstState, mergeClaim, type RequestState, requestKey, settles } from "./request-state.ts";
import { countUsage } from "./usage-counters.ts";

/** A claim with what its price version says of its base. */
export interface PricedClaim {
  readonly claim: Claim;
  readonly rates: Rates;
}

/** What became of some claims. */
export interface Posted {
  /** Those that changed something. */
  readonly claims: number;
  readonly entries: number;
  /** Those that came after their request's end and said nothing new. */
  readonly late: number;
  /** Requests that ended once more: asked again with an idempotency key, and paid for the first time. */
  readonly repeated: readonly string[];
}

/** Merges claims of one tenant into its book: lines, values, counters and releases of holds change together. */
export function postClaims(book: OpenBook, claims: readonly PricedClaim[], at: Millis): Posted {
  const states = new Map<string, RequestState>();
  const changed = new Set<string>();
  const posted = { claims: 0, entries: 0, late: 0, repeated: [] as string[] };
  for (const { claim, rates } of claims) {
    const before = states.get(claim.requestId) ?? stateIn(book, claim.requestId);
    const after = before ? mergeClaim(before, claim) : firstState(claim, rates, book.nextPosition);
    states.set(claim.requestId, after);
    if (after === before) {
      if (before.settled || before.outcome !== "running") posted.late++;
      if (before.settled && settles(claim)) posted.repeated.push(claim.requestId);
      continue;
    }
    posted.claims++;
    changed.add(claim.requestId);
    book.append(claimText(claim, at));
    posted.entries += charge(book, claim.requestId, before, after, at);
    countUsage(book, before, after);
    if (settles(claim)) book.release(claim.requestId); // Also of one that had ended before: it ran again, and was held for again.
  }
  for (const requestId of changed) book.setValue(requestKey(requestId), encodeState(states.get(requestId)!));
  return posted;
}

function stateIn(book: OpenBook, requestId: string): RequestState | undefined {
  const text = book.value(requestKey(requestId));
  return text === undefined ? undefined : decodeState(text);
}

/** Writes the entry of what a claim added; gives how many that were. */
function charge(book: OpenBook, requestId: string, before: RequestState | undefined, after: RequestState, at: Millis): number {
  const added = grown(after.usage, before?.usage);
  if (added.promptTokens + added.cachedTokens + added.completionTokens + (added.trainedTokens ?? 0) === 0) return 0;
  // Below zero when prompt tokens turn out not to have been computed again: then they cost less than was thought.
  const amount = after.amount - (before?.amount ?? 0n);
  const postings = [
    [receivable(book.name), amount],
    [revenue(after.baseName), -amount],
  ] as const;
  book.append(entryText({ at, requestId, priceVersion: after.priceVersion, added, amount, postings }));
  book.post(postings);
  countSpent(book, amount, after.admittedAt);
  return 1;
}

/** What budgets are compared with. */
export function countSpent(book: OpenBook, amount: NanoUsd, at: Millis): void {
  for (const period of ["month", "ever"] as const) {
    const { group, name } = spentCounter(period, at);
    book.count(group, name, amount);
  }
}

function grown(after: Usage, before: Usage | undefined): Usage {
  return {
    promptTokens: after.promptTokens - (before?.promptTokens ?? 0),
    cachedTokens: after.cachedTokens - (before?.cachedTokens ?? 0),
    completionTokens: after.completionTokens - (before?.completionTokens ?? 0),
    trainedTokens: (after.trainedTokens ?? 0) - (before?.trainedTokens ?? 0),
  };
}
