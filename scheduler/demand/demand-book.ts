import { MINUTE, type Millis, type Tokens } from "#kernel";

/** A request counts half after this long: long enough to smooth a Poisson stream of one a minute, short enough for a flash crowd. */
const HALF_LIFE_MS: Millis = MINUTE / 2;
/** A rank of so much makes a token twice as dear. From the engine's bench: 16 rows of rank 8 each cost a tenth more than the base. */
const RANK_OF_DOUBLE_COST = 256;
/** Slower than this (weighted tokens per second) is no demand: one token a day. */
const NEGLIGIBLE = 1e-5;

/** What a request asks of a node, in tokens of the plain base. */
export function demandWeight(tokens: Tokens, rank: number): number {
  return tokens * (1 + rank / RANK_OF_DOUBLE_COST);
}

/**
 * Demand by delta, in weighted tokens per second: an exponentially decaying sum over its half-life. Deltas are numbered
 * densely by the caller; 16 bytes each. Nothing is done as time passes: a rate is brought up to date when it is read.
 */
export class DemandBook {
  readonly #halfLifeMs: Millis;
  #sums = new Float64Array(1024);
  #atMs = new Float64Array(1024);
  #count = 0;

  constructor(halfLifeMs: Millis = HALF_LIFE_MS) {
    this.#halfLifeMs = halfLifeMs;
  }

  /** One above the largest number observed. */
  get count(): number {
    return this.#count;
  }

  observe(delta: number, weight: number, nowMs: Millis): void {
    if (delta >= this.#sums.length) this.#grow(delta + 1);
    if (delta >= this.#count) this.#count = delta + 1;
    this.#sums[delta] = this.#decayed(delta, nowMs) + weight;
    this.#atMs[delta] = nowMs;
  }

  /** A constant stream of w per second converges to w. */
  ratePerSecond(delta: number, nowMs: Millis): number {
    if (delta >= this.#count || this.#sums[delta] === 0) return 0;
    const rate = (this.#decayed(delta, nowMs) * Math.LN2 * 1000) / this.#halfLifeMs;
    return rate < NEGLIGIBLE ? 0 : rate;
  }

  /** A new version takes over what its predecessor was asked for. */
  inherit(delta: number, from: number, nowMs: Millis): void {
    if (from >= this.#count) return;
    const sum = this.#decayed(from, nowMs);
    this.#sums[from] = 0;
    this.observe(delta, sum, nowMs);
  }

  #decayed(delta: number, nowMs: Millis): number {
    const sum = this.#sums[delta]!;
    return sum === 0 ? 0 : sum * 2 ** ((this.#atMs[delta]! - nowMs) / this.#halfLifeMs);
  }

  #grow(count: number): void {
    const length = 2 ** Math.ceil(Math.log2(count));
    const [sums, atMs] = [new Float64Array(length), new Float64Array(length)];
    sums.set(this.#sums);
    atMs.set(this.#atMs);
    [this.#sums, this.#atMs] = [sums, atMs];
  }
}
