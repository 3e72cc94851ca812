import type { BaseDigest, DeltaDigest, KeyId, NodeId, ProjectId, RequestId, TenantId } from "./ids.ts";
import type { Millis, Tokens } from "./units.ts";

/** What a request has consumed so far. Counts only grow. */
export interface Usage {
  readonly promptTokens: Tokens;
  /** Those of the prompt tokens that were not computed again. */
  readonly cachedTokens: Tokens;
  /** Counted from the start of the request, over all of its attempts and choices. */
  readonly completionTokens: Tokens;
  /** Of a fine-tuning job, over all of its attempts, each step counted once; absent for every other request. */
  readonly trainedTokens?: Tokens | undefined;
}

export const NO_USAGE: Usage = { promptTokens: 0, cachedTokens: 0, completionTokens: 0 };

/** Field-wise maximum: commutative, associative and idempotent, so claims may arrive in any order, any number of times. */
export function mergeUsage(one: Usage, other: Usage): Usage {
  const trainedTokens = Math.max(one.trainedTokens ?? 0, other.trainedTokens ?? 0);
  return {
    promptTokens: Math.max(one.promptTokens, other.promptTokens),
    cachedTokens: Math.max(one.cachedTokens, other.cachedTokens),
    completionTokens: Math.max(one.completionTokens, other.completionTokens),
    ...(trainedTokens > 0 && { trainedTokens }),
  };
}

/** How a request ended, as far as the writer of the claim knows. */
export type Outcome = "running" | "completed" | "cancelled" | "failed";

/**
 * What one party knows that a request consumed. The router writes what it handed to the transport, the node what it
 * handed to the router; the ledger merges by {@link mergeUsage} per request id.
 */
export interface Claim {
  readonly requestId: RequestId;
  readonly attempt: number;
  readonly tenantId: TenantId;
  /** Who asked, and for which project of the tenant; the node does not know it. */
  readonly keyId?: KeyId;
  readonly projectId?: ProjectId;
  readonly baseDigest: BaseDigest;
  /** What the base is called in price lists. */
  readonly baseName: string;
  /** Absent for the plain base. */
  readonly deltaDigest?: DeltaDigest;
  /** What the client called the model; the node does not know it. */
  readonly model?: string;
  /** The price list at admission; 0 costs nothing. */
  readonly priceVersion: number;
  readonly usage: Usage;
  readonly outcome: Outcome;
  /** The node that served the attempt. */
  readonly nodeId?: NodeId;
  /** When the request was admitted. */
  readonly admittedAt: Millis;
}

/** The same claims, those of one attempt as one: the last of them, with the largest counts. In order of first appearance. */
export function foldClaims(claims: readonly Claim[]): readonly Claim[] {
  const byAttempt = new Map<string, Claim>();
  for (const claim of claims) {
    const attempt = `${claim.requestId} ${claim.attempt}`;
    const before = byAttempt.get(attempt);
    byAttempt.set(attempt, before ? { ...claim, usage: mergeUsage(before.usage, claim.usage) } : claim);
  }
  return [...byAttempt.values()];
}
