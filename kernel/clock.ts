import type { Millis } from "./units.ts";

/** Time, injected: production uses the system's, simulation and tests a virtual one. */
export interface Clock {
  /** Milliseconds since the Unix epoch. May jump; for stamps only. */
  now(): Millis;
  /** Milliseconds since an arbitrary start. Never goes back; for durations and deadlines. */
  monotonic(): Millis;
  /** Resolves after `waitMs`; rejects with the signal's reason when it aborts first. */
  after(waitMs: Millis, signal?: AbortSignal): Promise<void>;
}

/** Runs `task` every `periodMs` until `signal` aborts; never two at once, and a slow task delays the next. */
export async function every(clock: Clock, periodMs: Millis, signal: AbortSignal, task: () => void | Promise<void>): Promise<void> {
  while (!signal.aborted) {
    try {
      await clock.after(periodMs, signal);
    } catch (error) {
      if (signal.aborted) return;
      throw error;
    }
    await task();
  }
}

/** Nobody sees it; without a reason every release would make an exception with a stack. */
const RELEASED = "released";

/** A signal that aborts with `reason()` after `waitMs`, or with `parent`'s reason when that aborts first. Dispose it to release its timer. */
export function deadlineSignal(
  clock: Clock,
  waitMs: Millis,
  reason: () => unknown,
  parent?: AbortSignal,
): { readonly signal: AbortSignal; [Symbol.dispose](): void } {
  const deadline = new AbortController();
  const timer = new AbortController();
  clock.after(waitMs, timer.signal).then(
    () => deadline.abort(reason()),
    () => undefined, // Disposed before the deadline: nothing to do.
  );
  const signal = parent ? AbortSignal.any([parent, deadline.signal]) : deadline.signal;
  return { signal, [Symbol.dispose]: () => timer.abort(RELEASED) };
}

/** Waits for `work`, at most `waitMs`: the caller then goes on without it. Says whether it ended in time. */
export async function within(clock: Clock, waitMs: Millis, work: Promise<unknown>): Promise<boolean> {
  using deadline = deadlineSignal(clock, waitMs, () => RELEASED);
  const { promise: late, resolve } = Promise.withResolvers<boolean>();
  deadline.signal.addEventListener("abort", () => resolve(false), { once: true });
  return await Promise.race([work.then(() => true), late]);
}
