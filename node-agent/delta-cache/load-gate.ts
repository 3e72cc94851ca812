import { assert } from "#kernel";

/** The right to be inside. Disposing it lets the next one in. */
export interface GatePass extends Disposable {
  /** Goes out for as long as `wait` takes, then in again, in turn. When either fails it stays outside. */
  outside(wait: Promise<void>): Promise<void>;
}

/** Lets at most `openMax` through at a time, the others in order of arrival. */
export class LoadGate {
  #free: number;
  readonly #waiting = new Set<() => void>();

  constructor(openMax: number) {
    assert(openMax > 0, "a gate lets at least one through");
    this.#free = openMax;
  }

  /** Resolves when inside; rejects with the signal's reason when that comes first. */
  async enter(signal: AbortSignal): Promise<GatePass> {
    await this.#turn(signal);
    let isInside = true;
    const leave = () => {
      if (isInside) this.#leave();
      isInside = false;
    };
    return {
      outside: async (wait) => {
        leave();
        await wait;
        await this.#turn(signal);
        isInside = true;
      },
      [Symbol.dispose]: leave,
    };
  }

  #turn(signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    if (this.#free > 0) {
      this.#free -= 1;
      return Promise.resolve();
    }
    return new Promise((resolve, reject) => {
      const abort = () => {
        this.#waiting.delete(enter);
        reject(signal.reason);
      };
      const enter = () => {
        signal.removeEventListener("abort", abort);
        resolve();
      };
      this.#waiting.add(enter);
      signal.addEventListener("abort", abort, { once: true });
    });
  }

  #leave(): void {
    const [next] = this.#waiting;
    if (!next) {
      this.#free += 1;
      return;
    }
    this.#waiting.delete(next);
    next();
  }
}
