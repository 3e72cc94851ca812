import { MINUTE, type Millis, SECOND, type Tokens } from "#kernel";

/** A request counts half after this long: long enough to smooth a Poisson stream of one a minute, short enough for a flash crowd. */
const HALF_LIFE_MS: Millis = MINUTE / 2;
/** A burst is seen by requests that count half after this long: a few seconds, in which a new copy is loaded. */
const BURST_HALF_LIFE_MS: Millis = 3 * SECOND;
/** What a few seconds tell is rough: half of it is believed, so that chance alone does not look like a burst. */
const BURST_BELIEF = 0.5;
/** A rank of so much makes a token twice as dear. From the engine's bench: 16 rows of rank 8 each cost a tenth more than the base. */
const RANK_OF_DOUBLE_COST = 256;
/** Slower than this (weighted tokens per second) is no demand: one token a day. */
const NEGLIGIBLE = 1e-5;

/** What a request asks of a node, in tokens of the plain base. */
export function demandWeight(tokens: Tokens, rank: number): number {
  return tokens * (1 + rank / RANK_OF_DOUBLE_COST);
}

/**
 * Demand by delta, in weighted tokens per second: exponentially decaying sums over two half-lives, one for what is usual and one for bursts. Deltas are
 * numbered densely by the caller; 29 bytes each. Nothing is done as time passes: a rate is brought up to date when it is read.
 */
export class DemandBook {
  readonly #halfLifeMs: Millis;
  #sums = new Float64Array(1024);
  #bursts = new Float64Array(1024);
  #atMs = new Float64Array(1024);
  #known = new Uint8Array(1024);
  #count = 0;
  readonly #asked: number[] = [];
  /** Older than this, no burst can be above the usual rate: it need not be computed. */
  readonly #burstMsMax: Millis;

  constructor(halfLifeMs: Millis = HALF_LIFE_MS) {
    this.#halfLifeMs = halfLifeMs;
    const head = Math.log2((BURST_BELIEF * halfLifeMs) / BURST_HALF_LIFE_MS);
    this.#burstMsMax = Math.max(0, head / (1 / BURST_HALF_LIFE_MS - 1 / halfLifeMs));
  }

  /** Every delta that was ever asked for, in that order: most of a million never are. */
  get asked(): readonly number[] {
    return this.#asked;
  }

  /** One above the largest number observed. */
  get count(): number {
    return this.#count;
  }

  observe(delta: number, weight: number, nowMs: Millis): void {
    this.#add(delta, weight, weight, nowMs);
  }

  /** Takes over a rate that somebody else has observed: as much more as if it had been so all the time. */
  seed(delta: number, ratePerSecond: number, nowMs: Millis): void {
    const sumOver = (halfLifeMs: Millis) => (ratePerSecond * halfLifeMs) / (Math.LN2 * SECOND);
    this.#add(delta, sumOver(this.#halfLifeMs), sumOver(BURST_HALF_LIFE_MS), nowMs);
  }

  /** A constant stream of w per second converges to w. */
  ratePerSecond(delta: number, nowMs: Millis): number {
    return perSecond(this.#decayed(this.#sums, delta, nowMs, this.#halfLifeMs), this.#halfLifeMs);
  }

  /** The same, or more while a burst is on: what copies are made for. Never less than {@link ratePerSecond}. */
  urgentRatePerSecond(delta: number, nowMs: Millis): number {
    const usual = this.ratePerSecond(delta, nowMs);
    if (delta >= this.#count || nowMs - this.#atMs[delta]! > this.#burstMsMax) return usual;
    const burst = this.#decayed(this.#bursts, delta, nowMs, BURST_HALF_LIFE_MS);
    return Math.max(usual, BURST_BELIEF * perSecond(burst, BURST_HALF_LIFE_MS));
  }

  #add(delta: number, weight: number, burst: number, nowMs: Millis): void {
    if (delta >= this.#sums.length) this.#grow(delta + 1);
    if (delta >= this.#count) this.#count = delta + 1;
    if (this.#known[delta] === 0) {
      this.#known[delta] = 1;
      this.#asked.push(delta);
    }
    this.#sums[delta] = this.#decayed(this.#sums, delta, nowMs, this.#halfLifeMs) + weight;
    this.#bursts[delta] = this.#decayed(this.#bursts, delta, nowMs, BURST_HALF_LIFE_MS) + burst;
    this.#atMs[delta] = nowMs;
  }

  #decayed(sums: Float64Array, delta: number, nowMs: Millis, halfLifeMs: Millis): number {
    const sum = delta < this.#count ? sums[delta]! : 0;
    return sum === 0 ? 0 : sum * 2 ** ((this.#atMs[delta]! - nowMs) / halfLifeMs);
  }

  #grow(count: number): void {
    const length = 2 ** Math.ceil(Math.log2(count));
    const larger = (from: Float64Array): Float64Array<ArrayBuffer> => {
      const to = new Float64Array(length);
      to.set(from);
      return to;
    };
    const known = new Uint8Array(length);
    known.set(this.#known);
    this.#known = known;
    [this.#sums, this.#bursts, this.#atMs] = [larger(this.#sums), larger(this.#bursts), larger(this.#atMs)];
  }
}

/** Of a sum that halves every so often. */
function perSecond(sum: number, halfLifeMs: Millis): number {
  const rate = (sum * Math.LN2 * SECOND) / halfLifeMs;
  return rate < NEGLIGIBLE ? 0 : rate;
}
