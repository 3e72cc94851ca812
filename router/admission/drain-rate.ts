import { type Millis, SECOND } from "#kernel";

/** Over what time the rate is a mean: long enough for a dozen texts to end, short enough to notice a node that died. */
const MEMORY_MS: Millis = 10 * SECOND;
/** What was seen for less says nothing yet. */
const SEEN_MS_MIN: Millis = SECOND / 2;

/**
 * How fast a queue drains, in its own unit of cost per millisecond. Time counts only while something waits: an idle queue
 * drains nothing, and that says nothing of how fast it could. The further back, the less it counts.
 */
export class DrainRate {
  #cost = 0;
  #seenMs: Millis = 0;
  #lastAt: Millis | undefined;

  /** Undefined until something has waited for half a second in all. */
  at(now: Millis): number | undefined {
    this.#advance(now);
    return this.#seenMs >= SEEN_MS_MIN ? this.#cost / this.#seenMs : undefined;
  }

  /** From now on something waits. */
  busy(now: Millis): void {
    this.#lastAt ??= now;
  }

  /** From now on nothing waits. */
  idle(now: Millis): void {
    this.#advance(now);
    this.#lastAt = undefined;
  }

  /** So much has left the queue to be served. */
  drained(now: Millis, cost: number): void {
    this.#advance(now);
    this.#cost += cost;
  }

  #advance(now: Millis): void {
    if (this.#lastAt === undefined) return;
    const passedMs = now - this.#lastAt;
    const kept = Math.exp(-passedMs / MEMORY_MS);
    this.#cost *= kept;
    this.#seenMs = this.#seenMs * kept + MEMORY_MS * (1 - kept);
    this.#lastAt = now;
  }
}
