import { type Clock, type CreateEvictionOrder, createCacheEntry, type DeltaDigest, type EvictionOrder, type Millis } from "#kernel";
import type { DeltaReference } from "#model";
import type { ReadyEntry } from "./tier-entry.ts";

/** What a load brought. */
export interface Loaded<V> {
  readonly value: V;
  readonly size: number;
  /** What having it again will take. */
  readonly ownMs: Millis;
}

/** What loads faster than the clock can tell costs something all the same. */
const LOAD_MS_MIN: Millis = 1;

/** A tier's ready entries, and who of them leaves first. */
export class ReadyEntries<V> {
  readonly #clock: Clock;
  readonly #order: EvictionOrder;
  /** By last use. */
  readonly #entries = new Map<DeltaDigest, ReadyEntry<V>>();

  constructor(clock: Clock, createOrder: CreateEvictionOrder) {
    this.#clock = clock;
    this.#order = createOrder();
  }

  get size(): number {
    return this.#entries.size;
  }

  get(digest: DeltaDigest): ReadyEntry<V> | undefined {
    return this.#entries.get(digest);
  }

  /** Takes a new one in, as used now. */
  add(reference: DeltaReference, { value, size, ownMs }: Loaded<V>, fate: ReadyEntry<V>["fate"]): ReadyEntry<V> {
    const rank = createCacheEntry(Math.max(1, size), Math.max(LOAD_MS_MIN, ownMs));
    const entry: ReadyEntry<V> = { kind: "ready", reference, value, size, rank, references: 0, fate, gone: Promise.withResolvers() };
    this.use(entry);
    return entry;
  }

  use(entry: ReadyEntry<V>): void {
    this.#entries.delete(entry.reference.digest);
    this.#entries.set(entry.reference.digest, entry);
    this.#order.used(entry.rank, this.#clock.monotonic());
  }

  evict(entry: ReadyEntry<V>): void {
    this.#entries.delete(entry.reference.digest);
    this.#order.evicted(entry.rank);
  }

  clear(): void {
    this.#entries.clear();
  }

  /** Those that nobody holds, in the order in which they should leave; of equals first whose last use is longest ago. */
  *idle(): Generator<readonly [DeltaDigest, number]> {
    const idle = [...this.#entries.values()].filter((entry) => entry.references === 0);
    while (idle.length > 0) {
      let first = 0; // Few are taken: looking for the least each time is cheaper than sorting all.
      for (let index = 1; index < idle.length; index++) if (idle[index]!.rank.priority < idle[first]!.rank.priority) first = index;
      const [entry] = idle.splice(first, 1);
      yield [entry!.reference.digest, entry!.size];
    }
  }
}
