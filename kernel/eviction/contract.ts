import type { Bytes, Millis } from "../units.ts";

/** What an order remembers of one delta in one tier. Owned by the tier; written by the order only. */
export interface CacheEntry {
  readonly sizeBytes: Bytes;
  /** What it costs to have it again. */
  readonly loadMs: Millis;
  /** The lowest leaves first. Comparable between entries at any later time, so that nothing needs to be recomputed. */
  priority: number;
  /** The order's own note. */
  note: number;
}

/** Who leaves a tier first. One object per tier: some orders age. */
export interface EvictionOrder {
  readonly name: string;
  /** At admission and at each use. */
  used(entry: CacheEntry, nowMs: Millis): void;
  /** When an entry has left for want of room. */
  evicted(entry: CacheEntry): void;
}

export type CreateEvictionOrder = () => EvictionOrder;

/** A new entry that no order has seen yet. */
export function createCacheEntry(sizeBytes: Bytes, loadMs: Millis): CacheEntry {
  return { sizeBytes, loadMs, priority: Number.NEGATIVE_INFINITY, note: Number.NEGATIVE_INFINITY };
}
