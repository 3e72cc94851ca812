import type { Bytes, CreateEvictionOrder, Millis, Tier } from "#kernel";
import type { DeltaReference } from "#model";
import type { Slot } from "../engine/contract.ts";

/** Where deltas come from when no tier of this node has them. */
export interface DeltaOrigin {
  /**
   * Writes `adapter_config.json` and `adapter_model.safetensors` of the delta into `directory`, which exists and is
   * empty. What is fetched is not trusted: it is checked against the digest when it is read.
   *
   * @throws Fault delta_unavailable when no origin answers, resource_unknown when there is no such delta,
   * message_too_large past `bytesMax`.
   */
  fetch(reference: DeltaReference, directory: string, bytesMax: Bytes, signal: AbortSignal): Promise<void>;
}

/** Where a delta was found when a request asked for it, from fast to slow. */
export type Arrival = Tier | "origin";

/** The right to use one delta in one engine. While it is held, the delta stays in its slot. */
export interface DeltaLease {
  readonly slot: Slot;
  readonly arrival: Arrival;
  /** Idempotent. */
  release(): void;
}

/** The right to use one entry of one tier. While it is held, the entry is not evicted. */
export interface TierLease<V> {
  readonly value: V;
  /** Whether this lease waited for the load that brought the entry. */
  readonly fresh: boolean;
  /** Idempotent. `corrupt` removes the entry as soon as nobody holds it, and lets nobody else have it before. */
  release(as?: "corrupt"): void;
}

/**
 * How one tier gets and loses its entries. `prepare` finds out how much room an entry takes and may hold what the load
 * needs (an entry of the next tier) until `release`; `load` runs once the room is reserved.
 */
export interface TierSource<V> {
  prepare(reference: DeltaReference, signal: AbortSignal): Promise<PreparedLoad<V>>;
  /** Frees what `value` stands for; the room counts as used until it resolves. */
  drop(reference: DeltaReference, value: V): Promise<void>;
}

export interface PreparedLoad<V> {
  /** An upper bound, in the tier's unit: bytes, or ranks in the slots. */
  readonly size: number;
  /** Throws {@link StaleCopy} when what `prepare` saw was bad and is gone: the tier then prepares once more. */
  load(): Promise<{ readonly value: V; readonly size: number }>;
  release(): void;
}

/** The next tier's copy turned out to be damaged and was removed; a second attempt gets a fresh one. */
export class StaleCopy extends Error {
  override readonly name = "StaleCopy";
}

/** What a tier tells its observer, in the order in which it happens. */
export type TierEvent = { readonly tier: Tier; readonly reference: DeltaReference } & (
  | { readonly kind: "hit" | "miss" | "loading" | "evicting" | "gone" }
  /** `size` in the tier's unit. */
  | {
      readonly kind: "ready";
      readonly size: number;
      /** From the wish to the entry; 0 for one that was there already. */
      readonly loadMs: Millis;
      /** Of it, the tier's own load, without the tiers below and without waiting; undefined for one that was there already. */
      readonly ownMs?: Millis;
    }
  | { readonly kind: "references"; readonly references: number }
  /** The load failed; the entry is gone. */
  | { readonly kind: "failed"; readonly error: unknown }
  /** The entry is gone, but what it stood for could not be freed: its room stays counted. */
  | { readonly kind: "stuck"; readonly error: unknown }
);

export type TierObserver = (event: TierEvent) => void;

/** How much one tier may hold and do at a time. */
export interface TierLimits {
  /** Sum of the sizes of all entries: ready, loading and being evicted. */
  readonly capacity: number;
  /** Number of those entries. */
  readonly entriesMax: number;
  /** Loads that run at the same time. */
  readonly loadsMax: number;
  /** Further deltas that may wait for their load or for room; one more is refused with capacity_exhausted. */
  readonly waitingMax: number;
  /** Who leaves first. Default: least recently used. */
  readonly eviction?: CreateEvictionOrder;
  /** Of the entries and of the capacity, so much is kept free while nobody waits: the next load need not wait for an eviction. Default: nothing. */
  readonly spareShare?: number;
}

/** One tier as a table shows it. */
export interface TierStatus {
  readonly entries: number;
  readonly used: number;
  readonly capacity: number;
  /** Entries that somebody holds. */
  readonly held: number;
  /** Loads that wait for room: somebody must let go first. */
  readonly starved: number;
}

/** What a delta is, known once it was read. */
export interface DeltaFacts {
  readonly rank: number;
  /** In memory, as float32. */
  readonly sizeBytes: Bytes;
}
