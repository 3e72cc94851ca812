import { assert } from "./assert.ts";

/** Lets a producer pass while its consumer has room; one waits at a time. */
export class CreditGate {
  #credit: number;
  readonly #signal: AbortSignal;
  #pass: (() => void) | undefined;

  constructor(credit: number, signal: AbortSignal) {
    this.#credit = credit;
    this.#signal = signal;
    signal.addEventListener("abort", () => this.#pass?.(), { once: true });
  }

  /** Uses one credit, then waits until there is another. Rejects with the signal's reason when it aborts. */
  async take(): Promise<void> {
    assert(this.#credit > 0, "more was sent than there was credit for");
    this.#credit--;
    if (this.#credit === 0 && !this.#signal.aborted) {
      await new Promise<void>((resolve) => {
        this.#pass = resolve;
      });
    }
    this.#signal.throwIfAborted();
  }

  give(credit: number): void {
    this.#credit += credit;
    this.#pass?.();
  }
}
