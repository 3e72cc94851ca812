import { randomBytes } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import type { Clock } from "./clock.ts";
import { type Random, seededRandom } from "./random.ts";

/**
 * The one place that touches the machine's clock and its source of chance. Only composition roots use these values;
 * everything else is handed a {@link Clock} and a {@link Random}. A test enforces it.
 */
export const systemClock: Clock = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
  async after(waitMs, signal) {
    signal?.throwIfAborted();
    try {
      await sleep(waitMs, undefined, signal ? { signal } : {});
    } catch (error) {
      signal?.throwIfAborted(); // The signal's own reason, not the timer's wrapping of it.
      throw error;
    }
  },
};

/** A generator with a fresh unpredictable seed. Good for ids and spreading load, not for secrets. */
export function systemRandom(): Random {
  return seededRandom(randomBytes(8).readBigUInt64LE());
}
