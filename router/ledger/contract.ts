import type { Claim, KeyId, Millis, NanoUsd, ProjectId, TenantId, Tokens } from "#kernel";

export type UsageDimension = "tenant" | "project" | "key" | "model" | "base" | "price" | "day" | "hour" | "minute";

export interface UsageQuery {
  /** At most one of day, hour and minute. */
  readonly by: readonly UsageDimension[];
  /** Only this tenant's. */
  readonly tenantId?: TenantId;
  /** By time of admission: from (included) and until (excluded), both cut down to the minute. */
  readonly since?: Millis;
  readonly until?: Millis;
}

/** Sums; only the dimensions that were asked for are set. */
export interface UsageRow {
  readonly tenantId?: TenantId;
  readonly projectId?: ProjectId;
  readonly keyId?: KeyId;
  /** What the client called it. */
  readonly model?: string;
  /** The base's name. */
  readonly base?: string;
  readonly priceVersion?: number;
  /** Where the day, hour or minute of admission begins, UTC. */
  readonly start?: Millis;
  readonly requests: number;
  readonly promptTokens: Tokens;
  readonly cachedTokens: Tokens;
  readonly completionTokens: Tokens;
  /** Of fine-tuning jobs. */
  readonly trainedTokens: Tokens;
  readonly amount: NanoUsd;
}

/** A new entry that takes back, or adds to, what was charged. Entries are never changed. */
export interface Correction {
  /** The poster's own: the same id again posts nothing. */
  readonly id: string;
  readonly tenantId: TenantId;
  readonly requestId?: string;
  /** Negative gives back. */
  readonly amount: NanoUsd;
  readonly reason: string;
}

export interface PostedCorrection extends Correction {
  readonly position: number;
  readonly postedAt: Millis;
}

/** What one request has come to so far. */
export interface Charge {
  readonly requestId: string;
  readonly tenantId: TenantId;
  readonly projectId?: ProjectId;
  readonly keyId?: KeyId;
  readonly model?: string;
  readonly baseName: string;
  readonly deltaDigest?: string;
  readonly priceVersion: number;
  readonly admittedAt: Millis;
  readonly outcome: Claim["outcome"];
  readonly promptTokens: Tokens;
  readonly cachedTokens: Tokens;
  readonly completionTokens: Tokens;
  /** Of a fine-tuning job; 0 for every other request. */
  readonly trainedTokens: Tokens;
  readonly amount: NanoUsd;
}

/**
 * Merges claims by field-wise maximum per request id and charges only the difference. Commutative, associative,
 * idempotent: claims may come in any order, any number of times, from router and node, through any router, before and
 * after a crash. What was charged is never lowered but by a {@link Correction}, or by a claim that tells that prompt tokens
 * were cached.
 */
export interface Ledger {
  /**
   * Durable when it resolves; on a fault some tenants' claims may be posted and others not, so post them all again.
   * A request is its tenant's: all of its claims name the same one. Base, price version and time of admission are those of
   * its first claim; key, project, model and delta those of the first claim that names them. The router's last claim of a
   * request ends its hold.
   *
   * @throws Fault parameter_invalid for a count that is no whole number from 0, or a price version that does not exist;
   * nothing of the batch is posted.
   */
  post(claims: readonly Claim[]): Promise<void>;
  /** Gives the position of its line. @throws Fault parameter_invalid, resource_exists for the same id with other content */
  correct(correction: Correction): Promise<number>;
  usage(query: UsageQuery): Promise<readonly UsageRow[]>;
  /** By time of posting. */
  corrections(tenantId: TenantId, since: Millis, until: Millis): Promise<readonly PostedCorrection[]>;
  /** What requests admitted within a time came to, in the order in which they were first posted. */
  charges(tenantId: TenantId, since: Millis, until: Millis): AsyncIterable<Charge>;
  /** Tenants that were ever charged, in order. */
  tenants(): Promise<readonly TenantId[]>;
}

/** The counter in a tenant's book that says what it has spent in a budget's period: `month` needs the time. */
export function spentCounter(period: "month" | "ever", at: Millis): { readonly group: string; readonly name: string } {
  return { group: "spent", name: period === "ever" ? "ever" : new Date(at).toISOString().slice(0, 7) };
}
