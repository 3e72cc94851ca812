import type { Claim, KeyId, Millis, TenantId, Tokens } from "#kernel";

/**
 * Everything hard that Deltaplane keeps: records (tenants, keys, bases, deltas, aliases) and the ledger. Implementations
 * pass `contract-suite.ts`. All methods throw Fault store_unreachable when the store does not answer.
 */
export interface StateStore extends AsyncDisposable {
  readonly records: Records;
  readonly ledger: Ledger;
}

/** A value with the version that a writer must name to replace it. */
export interface Versioned<T = unknown> {
  readonly key: string;
  readonly value: T;
  readonly version: number;
}

/** A change to a record; `value` is undefined when it was removed. */
export interface RecordChange {
  readonly key: string;
  readonly value: unknown;
  readonly version: number;
}

export type Put = { readonly kind: "put"; readonly version: number } | { readonly kind: "conflict"; readonly version: number | undefined };

/** Small JSON values under keys like `delta/<digest>`. Compare-and-set is the only way to write. */
export interface Records {
  get(key: string): Promise<Versioned | undefined>;
  /** Writes `value` if the record's version is `version` (undefined: if there is no such record). Versions grow and are never given twice. */
  putIf(key: string, value: unknown, version: number | undefined): Promise<Put>;
  /** Removes the record if its version is `version`. */
  removeIf(key: string, version: number): Promise<Put>;
  /** In order of keys. */
  list(prefix: string): Promise<readonly Versioned[]>;
  /**
   * First every present record under the prefix, then what changes, until the signal aborts: then it ends. Whoever reads
   * slowly gets the last change of each record, perhaps not every one between.
   */
  watch(prefix: string, signal: AbortSignal): AsyncIterable<RecordChange>;
}

/** How much a claim added to what the ledger already had for its request. */
export interface Posting {
  readonly requestId: string;
  readonly promptTokens: Tokens;
  readonly cachedTokens: Tokens;
  readonly completionTokens: Tokens;
}

export type UsageDimension = "tenant" | "model" | "key" | "day";

export interface UsageQuery {
  readonly by: readonly UsageDimension[];
  /** Only this tenant's. */
  readonly tenantId?: TenantId;
  /** By time of admission: from (included) and until (excluded). */
  readonly since?: Millis;
  readonly until?: Millis;
}

/** Sums; only the dimensions that were asked for are set. */
export interface UsageRow {
  readonly tenantId?: TenantId;
  readonly model?: string;
  readonly keyId?: KeyId;
  /** YYYY-MM-DD, UTC, of admission. */
  readonly day?: string;
  readonly requests: number;
  readonly promptTokens: Tokens;
  readonly cachedTokens: Tokens;
  readonly completionTokens: Tokens;
}

/**
 * Merges claims by field-wise maximum per request id. Commutative, associative, idempotent: claims may come in any order,
 * any number of times, from router and node, before and after a crash. What was posted is never lowered.
 */
export interface Ledger {
  /**
   * Durable when it resolves, all or nothing. Gives what each claim added, in order. Tenant, base, price version and time
   * of admission are those of the first claim of a request; key, model and delta of the first claim that names them.
   *
   * @throws Fault parameter_invalid for a count that is no whole number from 0; nothing of the batch is posted.
   */
  post(claims: readonly Claim[]): Promise<readonly Posting[]>;
  usage(query: UsageQuery): Promise<readonly UsageRow[]>;
}
