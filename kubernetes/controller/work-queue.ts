import type { Clock, Millis } from "#kernel";

/**
 * Keys that want work, each at most once and never with two workers at a time. What is added while it is worked on
 * comes again afterwards, so that no change is missed. As long as there are objects: it needs no other limit.
 */
export class WorkQueue {
  readonly #clock: Clock;
  /** When each key is due, by the monotonic clock. */
  readonly #due = new Map<string, Millis>();
  readonly #busy = new Set<string>();
  #wake = new AbortController();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  get depth(): number {
    return this.#due.size;
  }

  /** Wants work on `key` after `waitMs`, or sooner if it is due sooner. */
  add(key: string, waitMs: Millis = 0): void {
    const at = this.#clock.monotonic() + waitMs;
    const known = this.#due.get(key);
    if (known !== undefined && known <= at) return;
    this.#due.set(key, at);
    this.#ring();
  }

  /** Waits for a key that is due and hands it to one worker, who says `done`. @throws the signal's reason */
  async take(signal: AbortSignal): Promise<string> {
    for (;;) {
      signal.throwIfAborted();
      const first = this.#first();
      const waitMs = first === undefined ? Number.POSITIVE_INFINITY : first.at - this.#clock.monotonic();
      if (first && waitMs <= 0) {
        this.#due.delete(first.key);
        this.#busy.add(first.key);
        return first.key;
      }
      await this.#pause(waitMs, AbortSignal.any([signal, this.#wake.signal]));
    }
  }

  done(key: string): void {
    this.#busy.delete(key);
    this.#ring();
  }

  #first(): { readonly key: string; readonly at: Millis } | undefined {
    let first: { readonly key: string; readonly at: Millis } | undefined;
    for (const [key, at] of this.#due) if (!this.#busy.has(key) && (!first || at < first.at)) first = { key, at };
    return first;
  }

  #ring(): void {
    const rung = this.#wake;
    this.#wake = new AbortController();
    rung.abort();
  }

  /** Until then, or until somebody rings. */
  async #pause(waitMs: Millis, wake: AbortSignal): Promise<void> {
    if (wake.aborted) return;
    if (waitMs !== Number.POSITIVE_INFINITY) return this.#clock.after(waitMs, wake).catch(() => undefined); // Rung: the loop looks again.
    const { promise, resolve } = Promise.withResolvers<void>();
    wake.addEventListener("abort", () => resolve(), { once: true });
    await promise;
  }
}
