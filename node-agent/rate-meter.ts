import { type Clock, type Millis, SECOND } from "#kernel";

const WINDOW_MS: Millis = 5 * SECOND;
/** Samples closer together than this say nothing new. */
const SPACING_MS: Millis = SECOND / 2;

/** The rate of a counter over the last seconds. A counter that starts again (its engine was replaced) starts a new window. */
export class RateMeter {
  readonly #clock: Clock;
  readonly #samples: { readonly at: Millis; readonly total: number }[] = [];

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Per second, after the counter has reached `total`. */
  rate(total: number): number {
    const at = this.#clock.monotonic();
    const last = this.#samples.at(-1);
    if (last && total < last.total) this.#samples.length = 0;
    if (!last || at - last.at >= SPACING_MS || this.#samples.length === 0) this.#samples.push({ at, total });
    while (this.#samples.length > 2 && at - this.#samples[1]!.at >= WINDOW_MS) this.#samples.shift();
    const first = this.#samples[0]!;
    return at > first.at ? ((total - first.total) / (at - first.at)) * SECOND : 0;
  }
}
