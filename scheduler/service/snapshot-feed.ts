import { once } from "node:events";
import { type Clock, Fault, type Millis, type Random, type Snapshot } from "#kernel";
import type { WatchSnapshotResponse } from "#proto";
import { diffMessages } from "./snapshot-diff.ts";

/** Changes within this time go out together. */
const COALESCE_MS: Millis = 50;
/** Without any change a watcher still hears this often that the scheduler lives. */
const HEARTBEAT_MS: Millis = 1_000;
/** Routers, and perhaps an operator's tool. */
const WATCHERS_MAX = 1_000;

/**
 * The snapshot for whoever watches. A watcher's state is the last snapshot it took, nothing else: when it is slow, what
 * it gets next is the difference from there to the newest one, so no queue can grow.
 */
export class SnapshotFeed {
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #current: () => Snapshot;
  readonly #wakes = new Set<AbortController>();
  readonly #opened: AbortSignal;
  #closed = false;
  #watchers = 0;

  /** `opened`: until it aborts, watchers wait for their first snapshot. */
  constructor(
    deps: { readonly clock: Clock; readonly random: Random },
    current: () => Snapshot,
    opened: AbortSignal = AbortSignal.abort(),
  ) {
    this.#opened = opened;
    this.#clock = deps.clock;
    this.#random = deps.random;
    this.#current = current;
  }

  get watchers(): number {
    return this.#watchers;
  }

  /** Tells the watchers that there is a newer snapshot. */
  changed(): void {
    for (const wake of this.#wakes) wake.abort();
  }

  /** Ends every watch with Fault shutting_down. */
  close(): void {
    this.#closed = true;
    this.changed();
  }

  /** At first everything, then what changed, until the signal aborts. */
  async *watch(signal: AbortSignal): AsyncGenerator<WatchSnapshotResponse> {
    if (this.#watchers >= WATCHERS_MAX) throw new Fault("capacity_exhausted", `${WATCHERS_MAX} watch the snapshot already`);
    this.#watchers++;
    try {
      if (!this.#opened.aborted) await once(AbortSignal.any([this.#opened, signal]), "abort");
      signal.throwIfAborted();
      for (let sent: Snapshot | undefined; ; ) {
        if (this.#closed) throw new Fault("shutting_down", "the scheduler is draining");
        const snapshot = this.#current();
        yield* diffMessages(sent, snapshot);
        sent = snapshot;
        await this.#change(sent, signal);
      }
    } finally {
      this.#watchers--;
    }
  }

  /** Until there is something newer than `sent`, with a moment for more to come, or until the next heartbeat. */
  async #change(sent: Snapshot, signal: AbortSignal): Promise<void> {
    if (this.#current().version === sent.version && !this.#closed) {
      const spread = 0.9 + 0.2 * this.#random.float(); // So that a thousand watchers' heartbeats don't fall on one moment.
      await this.#pause(HEARTBEAT_MS * spread, signal);
    }
    if (!this.#closed) await this.#clock.after(COALESCE_MS, signal);
  }

  /** Waits until a change, at most `waitMs`. */
  async #pause(waitMs: Millis, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    const wake = new AbortController();
    const abort = () => wake.abort();
    this.#wakes.add(wake);
    signal.addEventListener("abort", abort, { once: true });
    try {
      await this.#clock.after(waitMs, wake.signal);
    } catch (error) {
      signal.throwIfAborted();
      if (!wake.signal.aborted) throw error;
    } finally {
      signal.removeEventListener("abort", abort);
      this.#wakes.delete(wake);
    }
  }
}
