import { setImmediate as nextTurn } from "node:timers/promises";
import { assert } from "./assert.ts";
import type { Clock } from "./clock.ts";
import type { Millis } from "./units.ts";

interface Waiter {
  readonly dueMs: Millis;
  readonly order: number;
  wake(): void;
}

/**
 * A clock that moves only when told to. Waiters wake in order of due time, then of arrival; between two wakes all
 * promise jobs run to rest, so that a whole cluster in one process behaves the same in every run.
 */
export class VirtualClock implements Clock {
  #nowMs: Millis;
  readonly #epochMs: Millis;
  #arrivals = 0;
  readonly #waiters = new Set<Waiter>();

  constructor(epochMs: Millis = Date.UTC(2026, 0, 1)) {
    this.#epochMs = epochMs;
    this.#nowMs = 0;
  }

  now(): Millis {
    return this.#epochMs + this.#nowMs;
  }

  monotonic(): Millis {
    return this.#nowMs;
  }

  after(waitMs: Millis, signal?: AbortSignal): Promise<void> {
    if (signal?.aborted) return Promise.reject(signal.reason);
    return new Promise((resolve, reject) => {
      const abort = () => {
        this.#waiters.delete(waiter);
        reject(signal?.reason);
      };
      const waiter: Waiter = {
        dueMs: this.#nowMs + Math.max(0, waitMs),
        order: this.#arrivals++,
        wake: () => {
          this.#waiters.delete(waiter);
          signal?.removeEventListener("abort", abort);
          resolve();
        },
      };
      this.#waiters.add(waiter);
      signal?.addEventListener("abort", abort, { once: true });
    });
  }

  /** Moves time forward by `durationMs`, waking everyone who is due on the way. */
  async advance(durationMs: Millis): Promise<void> {
    const target = this.#nowMs + durationMs;
    await settle();
    for (let next = this.#next(); next && next.dueMs <= target; next = this.#next()) {
      assert(next.dueMs >= this.#nowMs, "virtual time went back");
      this.#nowMs = next.dueMs;
      next.wake();
      await settle();
    }
    this.#nowMs = target;
  }

  #next(): Waiter | undefined {
    let first: Waiter | undefined;
    for (const waiter of this.#waiters) {
      if (!first || waiter.dueMs < first.dueMs || (waiter.dueMs === first.dueMs && waiter.order < first.order)) first = waiter;
    }
    return first;
  }
}

/** Lets all pending promise jobs, and the jobs they cause, run to rest. */
async function settle(): Promise<void> {
  await nextTurn();
  await nextTurn();
}
