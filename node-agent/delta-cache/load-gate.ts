import { assert } from "#kernel";

/** Lets at most `openMax` through at a time, the others in order of arrival. */
export class LoadGate {
  #free: number;
  readonly #waiting = new Set<() => void>();

  constructor(openMax: number) {
    assert(openMax > 0, "a gate lets at least one through");
    this.#free = openMax;
  }

  /** Resolves when inside; rejects with the signal's reason when that comes first. Each entry is paid back with {@link leave}. */
  enter(signal: AbortSignal): Promise<void> {
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

  leave(): void {
    const [next] = this.#waiting;
    if (!next) {
      this.#free += 1;
      return;
    }
    this.#waiting.delete(next);
    next();
  }
}
