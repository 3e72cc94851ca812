import { type Millis, SECOND } from "./units.ts";

/**
 * So long smaller loads may take the room that a larger one waits for; from then on what comes free is kept for it. Simulated: with 30 s large deltas make
 * the 99th percentile of a long overload; with 10 s slots stand empty, and nodes of few slots serve fewer in time.
 */
export const OVERTAKEN_MS_MAX: Millis = 20 * SECOND;

/** Somebody who waits for room in a tier. */
export interface RoomWish {
  /** In the tier's unit. */
  readonly size: number;
  readonly sinceMs: Millis;
}

/**
 * Who waits for room in a tier of a node, in order of their wishes. Who fits may overtake who does not, until that one has waited
 * too long. Node agents' tiers and the simulator's both keep one.
 */
export class RoomLine<W extends RoomWish> implements Iterable<W> {
  readonly #wishes = new Set<W>();
  readonly #overtakenMsMax: Millis;

  constructor(overtakenMsMax: Millis = OVERTAKEN_MS_MAX) {
    this.#overtakenMsMax = overtakenMsMax;
  }

  get size(): number {
    return this.#wishes.size;
  }

  /** At the end: its `sinceMs` must not be before those of the others. */
  add(wish: W): void {
    this.#wishes.add(wish);
  }

  delete(wish: W): void {
    this.#wishes.delete(wish);
  }

  [Symbol.iterator](): Iterator<W> {
    return this.#wishes.values();
  }

  /** Whether nobody may overtake this one any more. */
  isOverdue({ sinceMs }: RoomWish, nowMs: Millis): boolean {
    return nowMs - sinceMs >= this.#overtakenMsMax;
  }

  /** What is kept free for the first in line: nothing before it is overdue. */
  keptSize(nowMs: Millis): number {
    const [first] = this.#wishes;
    return first && this.isOverdue(first, nowMs) ? first.size : 0;
  }
}
