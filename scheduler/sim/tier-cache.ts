import { assert, type Bytes, type CacheEntry, createCacheEntry, type EvictionOrder, type Millis } from "#kernel";
import { EvictionHeap, type HeapEntry } from "./eviction-heap.ts";

/** A delta in a tier. Referenced and pinned ones stay. */
export interface SimEntry extends CacheEntry, HeapEntry {
  readonly delta: number;
  references: number;
  pinned: boolean;
  /** When it is there; until then it is loading, and stays. */
  readyAtMs: Millis;
}

/**
 * One tier of one node: entries under a byte budget, evicted in the order it was given.
 * Invariants, asserted: the sum of sizes never exceeds the budget; no entry that is referenced, pinned or loading leaves.
 */
export class TierCache {
  readonly capacityBytes: Bytes;
  readonly entries = new Map<number, SimEntry>();
  readonly #order: EvictionOrder;
  readonly #heap = new EvictionHeap<SimEntry>();
  readonly #left: (delta: number) => void;
  usedBytes: Bytes = 0;
  /** Of those, what rows use or wait for: it can't be had by evicting. */
  referencedBytes: Bytes = 0;

  /** `left` is told of each delta that left. */
  constructor(capacityBytes: Bytes, order: EvictionOrder, left: (delta: number) => void = () => undefined) {
    this.capacityBytes = capacityBytes;
    this.#order = order;
    this.#left = left;
  }

  get(delta: number): SimEntry | undefined {
    return this.entries.get(delta);
  }

  refer(entry: SimEntry): void {
    if (entry.references++ === 0) this.referencedBytes += entry.sizeBytes;
  }

  release(entry: SimEntry): void {
    assert(entry.references > 0, "a delta is released that nobody uses");
    if (--entry.references === 0) this.referencedBytes -= entry.sizeBytes;
  }

  used(entry: SimEntry, nowMs: Millis): void {
    this.#order.used(entry, nowMs);
    this.#heap.moved(entry);
  }

  /** The lowest priority of all that is there, used or not; undefined for nothing. */
  get lowestPriority(): number | undefined {
    return this.#heap.lowest?.priority;
  }

  /** The new entry, ready at `readyAtMs` (infinite until the caller knows), or undefined when those in use leave no room; then nothing has changed. */
  admit(delta: number, sizeBytes: Bytes, loadMs: Millis, nowMs: Millis): SimEntry | undefined {
    assert(!this.entries.has(delta), `delta ${delta} is admitted twice`);
    if (!this.free(sizeBytes, nowMs)) return undefined;
    const entry: SimEntry = {
      ...createCacheEntry(sizeBytes, loadMs),
      delta,
      references: 0,
      pinned: false,
      place: 0,
      readyAtMs: Number.POSITIVE_INFINITY,
    };
    this.entries.set(delta, entry);
    this.usedBytes += sizeBytes;
    assert(this.usedBytes <= this.capacityBytes, "a tier is over its budget");
    this.#order.used(entry, nowMs);
    this.#heap.add(entry);
    return entry;
  }

  /** Evicts until so many bytes are free. False, and nothing has changed, when those in use leave less. */
  free(sizeBytes: Bytes, nowMs: Millis): boolean {
    if (this.capacityBytes - this.usedBytes >= sizeBytes) return true;
    if (this.capacityBytes - this.referencedBytes < sizeBytes) return false; // Nobody need be asked.
    const victims: SimEntry[] = [];
    let freeBytes = this.capacityBytes - this.usedBytes;
    const mayGo = (entry: SimEntry) => entry.references === 0 && !entry.pinned && entry.readyAtMs <= nowMs && !victims.includes(entry);
    while (freeBytes < sizeBytes) {
      const victim = this.#heap.first(mayGo);
      if (!victim) return false;
      victims.push(victim);
      freeBytes += victim.sizeBytes;
    }
    for (const victim of victims) this.remove(victim);
    return true;
  }

  remove(entry: SimEntry): void {
    assert(entry.references === 0, `delta ${entry.delta} is evicted in use`);
    this.entries.delete(entry.delta);
    this.#heap.remove(entry);
    this.usedBytes -= entry.sizeBytes;
    this.#order.evicted(entry);
    this.#left(entry.delta);
  }

  /** Forgets everything, used or not: the process that held it is gone. */
  clear(): void {
    for (const delta of this.entries.keys()) this.#left(delta);
    this.entries.clear();
    this.#heap.clear();
    this.usedBytes = 0;
    this.referencedBytes = 0;
  }
}
