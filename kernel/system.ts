import { randomBytes } from "node:crypto";
import type { Clock } from "./clock.ts";
import { type Random, seededRandom } from "./random.ts";

/**
 * The one place that touches the machine's clock and its source of chance. Only composition roots use these values;
 * everything else is handed a {@link Clock} and a {@link Random}. A test enforces it.
 */
export const systemClock: Clock = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
  after(waitMs, signal) {
    if (signal?.aborted) return Promise.reject(signal.reason);
    return new Promise((resolve, reject) => {
      const abort = () => {
        clearTimeout(timer);
        reject(signal?.reason);
      };
      const timer = setTimeout(() => {
        signal?.removeEventListener("abort", abort);
        resolve();
      }, waitMs);
      signal?.addEventListener("abort", abort, { once: true });
    });
  },
};

/** A generator with a fresh unpredictable seed. Good for ids and spreading load, not for secrets. */
export function systemRandom(): Random {
  return seededRandom(randomBytes(8).readBigUInt64LE());
}
