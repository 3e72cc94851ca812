import type { Clock, Millis } from "#kernel";

/** A deadline passes after this many ticks. */
const TICKS = 8;

interface Call {
  readonly lastTick: number;
  end(): void;
}

/**
 * Ends calls that take too long, with one timer for all of them. It counts ticks, not time: when the event loop stands
 * still, replies wait too, and none of the calls is to blame.
 */
export class Deadlines {
  readonly #clock: Clock;
  readonly #tickMs: Millis;
  readonly #calls = new Set<Call>();
  readonly #idle: (() => void)[] = [];
  #tick = 0;
  #ticking: Promise<void> | undefined;

  constructor(clock: Clock, waitMs: Millis) {
    this.#clock = clock;
    this.#tickMs = waitMs / TICKS;
  }

  /** How many calls wait. */
  get size(): number {
    return this.#calls.size;
  }

  /** What `work` comes to, or what `late` gives when that takes too long. The work goes on then, with nobody to hear of it. */
  within<T>(work: Promise<T>, late: () => Error): Promise<T> {
    return new Promise((resolve, reject) => {
      const call: Call = { lastTick: this.#tick + TICKS, end: () => reject(late()) };
      this.#calls.add(call);
      this.#ticking ??= this.#run();
      work.then(resolve, reject).finally(() => this.#remove(call));
    });
  }

  /** Resolves when no call waits. */
  idle(): Promise<void> {
    return new Promise((resolve) => {
      this.#idle.push(resolve);
      this.#tellIdle();
    });
  }

  async #run(): Promise<void> {
    while (this.#calls.size > 0) {
      await this.#clock.after(this.#tickMs);
      this.#tick++;
      for (const call of this.#calls) {
        if (call.lastTick > this.#tick) break; // The others came later.
        call.end();
        this.#remove(call);
      }
    }
    this.#ticking = undefined;
  }

  #remove(call: Call): void {
    this.#calls.delete(call);
    this.#tellIdle();
  }

  #tellIdle(): void {
    if (this.#calls.size === 0) for (const resolve of this.#idle.splice(0)) resolve();
  }
}
