import type { Random } from "#kernel";
import { pause } from "./patience.ts";

export interface OpenLoop {
  readonly ratePerSecond: number;
  readonly random: Random;
  /** No more requests once it aborts; those in progress go on. */
  readonly until: AbortSignal;
}

/**
 * Sends requests at the times of a Poisson process, whether earlier ones were answered or not, and resolves with all
 * results when the last has ended. `lateMs` says how long after its time a request was sent: latencies that are told with
 * it are free of coordinated omission.
 */
export async function runOpenLoop<T>(loop: OpenLoop, send: (index: number, lateMs: number) => Promise<T>): Promise<readonly T[]> {
  const sent: Promise<T>[] = [];
  let dueMs = performance.now();
  while (!loop.until.aborted) {
    dueMs += (-Math.log(1 - loop.random.float()) * 1000) / loop.ratePerSecond;
    const waitMs = dueMs - performance.now();
    if (waitMs > 0) await pause(waitMs);
    if (!loop.until.aborted) sent.push(send(sent.length, performance.now() - dueMs));
  }
  return Promise.all(sent);
}
