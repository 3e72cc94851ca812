import type { Millis, Random } from "#kernel";

/** Waits that double from `minMs` to `maxMs`, each drawn from its upper half: those who failed together do not come back together. */
export class BackOff {
  readonly #random: Random;
  readonly #minMs: Millis;
  readonly #maxMs: Millis;
  #nextMs: Millis;

  constructor(random: Random, minMs: Millis, maxMs: Millis) {
    this.#random = random;
    this.#minMs = minMs;
    this.#maxMs = maxMs;
    this.#nextMs = minMs;
  }

  /** How long to wait now; the next one is longer. */
  next(): Millis {
    const ceilingMs = this.#nextMs;
    this.#nextMs = Math.min(ceilingMs * 2, this.#maxMs);
    return ceilingMs / 2 + this.#random.float() * (ceilingMs / 2);
  }

  /** It worked: the next failure is a first one. */
  reset(): void {
    this.#nextMs = this.#minMs;
  }
}
