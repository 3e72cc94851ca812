import type { DeltaDigest } from "#kernel";

/** How full a tier is. Entries that are being evicted still count in `used` and `entries`. */
export interface Occupancy {
  readonly capacity: number;
  readonly used: number;
  readonly entries: number;
  readonly entriesMax: number;
  /** Of those being evicted: room that comes free without doing anything. */
  readonly leavingSize: number;
  readonly leavingEntries: number;
}

/** What to do to make room for one more entry. */
export type RoomPlan =
  | { readonly kind: "fits" }
  /** These go, then ask again. Empty when what is already leaving is enough. */
  | { readonly kind: "evict"; readonly victims: readonly DeltaDigest[] }
  /** What could go is not enough: ask again when something was released. Nothing is evicted for nothing. */
  | { readonly kind: "wait" }
  /** Larger than the whole tier. */
  | { readonly kind: "never" };

/**
 * Plans room for an entry of `size`. `idle` are the entries that nobody uses, in the order in which they should leave; victims are
 * taken from its front, just as many as are needed.
 */
export function planRoom(now: Occupancy, size: number, idle: Iterable<readonly [DeltaDigest, number]>): RoomPlan {
  if (size > now.capacity || now.entriesMax < 1) return { kind: "never" };
  let excess = now.used + size - now.capacity;
  let excessEntries = now.entries + 1 - now.entriesMax;
  if (excess <= 0 && excessEntries <= 0) return { kind: "fits" };
  excess -= now.leavingSize;
  excessEntries -= now.leavingEntries;
  const victims: DeltaDigest[] = [];
  for (const [digest, freed] of idle) {
    if (excess <= 0 && excessEntries <= 0) break;
    victims.push(digest);
    excess -= freed;
    excessEntries -= 1;
  }
  return excess <= 0 && excessEntries <= 0 ? { kind: "evict", victims } : { kind: "wait" };
}

/** Who should leave so that `share` of the tier is free, or as good as free; nobody when not all of it can be had, or when it is less than an entry. */
export function planSpare(now: Occupancy, share: number, idle: Iterable<readonly [DeltaDigest, number]>): readonly DeltaDigest[] {
  const spareEntries = Math.floor(share * now.entriesMax);
  if (spareEntries === 0) return [];
  const left = { capacity: (1 - share) * now.capacity, entries: now.entries - 1, entriesMax: now.entriesMax - spareEntries };
  const plan = planRoom({ ...now, ...left }, 0, idle); // As if one more came, of no size, into what may be filled.
  return plan.kind === "evict" ? plan.victims : [];
}
