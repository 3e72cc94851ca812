import type { Millis } from "#kernel";
import type { FastRandom } from "../fast-random.ts";

export interface PopularityOptions {
  readonly deltaCount: number;
  /** Of Zipf's law: popularity falls with place^-exponent. */
  readonly exponent: number;
  /** Every so often two neighbours by place, drawn at random, change places; 0 for never. */
  readonly driftEveryMs: Millis;
  /** Every so often a delta, drawn by popularity, gets a new version that takes over its place; 0 for never. */
  readonly churnEveryMs: Millis;
  readonly durationMs: Millis;
}

/** Which delta a request asks for, as time goes on. Ask in order of time. */
export class Popularity {
  readonly #options: PopularityOptions;
  readonly #random: FastRandom;
  readonly #cumulative: Float64Array;
  readonly #deltaAt: Int32Array;
  #nextDriftMs: Millis;
  #nextChurnMs: Millis;
  /** By version number less `deltaCount`: when it came, and whose place it took. */
  readonly versions: { readonly publishedAtMs: Millis; readonly replaces: number }[] = [];

  constructor(options: PopularityOptions, random: FastRandom) {
    const { deltaCount, exponent, driftEveryMs, churnEveryMs } = options;
    this.#options = options;
    this.#random = random;
    this.#cumulative = new Float64Array(deltaCount);
    let sum = 0;
    for (let place = 0; place < deltaCount; place++) {
      sum += (place + 1) ** -exponent;
      this.#cumulative[place] = sum;
    }
    this.#deltaAt = Int32Array.from({ length: deltaCount }, (_, index) => index);
    this.#nextDriftMs = driftEveryMs > 0 ? driftEveryMs : Number.POSITIVE_INFINITY;
    this.#nextChurnMs = churnEveryMs > 0 ? churnEveryMs : Number.POSITIVE_INFINITY;
  }

  draw(nowMs: Millis): number {
    for (; this.#nextDriftMs <= nowMs; this.#nextDriftMs += this.#options.driftEveryMs) this.#drift();
    for (; this.#nextChurnMs <= nowMs; this.#nextChurnMs += this.#options.churnEveryMs) this.#publish(this.#nextChurnMs);
    return this.#deltaAt[this.#place()]!;
  }

  /** Inverse of the cumulative popularity, by halving. */
  #place(): number {
    const cumulative = this.#cumulative;
    const target = this.#random.float() * cumulative[cumulative.length - 1]!;
    let [low, high] = [0, cumulative.length - 1];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (cumulative[middle]! > target) high = middle;
      else low = middle + 1;
    }
    return low;
  }

  /** Places are drawn evenly in logarithm, so that the few at the top move as well. */
  #drift(): void {
    const place = Math.min(this.#deltaAt.length - 1, Math.floor(this.#deltaAt.length ** this.#random.float()));
    const [one, other] = [this.#deltaAt[place - 1] ?? 0, this.#deltaAt[place]!];
    if (place === 0) return;
    this.#deltaAt[place - 1] = other;
    this.#deltaAt[place] = one;
  }

  #publish(atMs: Millis): void {
    const place = this.#place();
    const version = this.#options.deltaCount + this.versions.length;
    this.versions.push({ publishedAtMs: atMs, replaces: this.#deltaAt[place]! });
    this.#deltaAt[place] = version;
  }
}
