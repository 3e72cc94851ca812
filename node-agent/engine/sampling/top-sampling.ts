import { Fault } from "#kernel";
import { TOP_LOGITS } from "#model";
import type { Sampling, TokenLogprob } from "../contract.ts";
import type { TopLogits } from "../runner/contract.ts";
import { Chance } from "./chance.ts";
import { needsHistory } from "./token-history.ts";

/** How far the sum that {@link TopLogits} carries may be from that of the sampler, relatively: several times what is promised. */
const SUM_ERROR = 5e-5;

/** A lower and an upper bound of a sum of weights. */
interface Bounds {
  readonly low: number;
  readonly high: number;
}

/** Whether the largest logits decide most tokens of such a text, so that asking for all would be waste. */
export function asksForTop(sampling: Sampling): boolean {
  const { temperature, topK, topP, minP, topLogprobs } = sampling;
  if (sampling.logitBias.size > 0 || needsHistory(sampling) || (topLogprobs ?? 0) > TOP_LOGITS) return false;
  return temperature === 0 || (topK > 0 && topK <= TOP_LOGITS) || topP < 1 || minP > 0;
}

/**
 * From the largest logits of a token to the next token: the very one that {@link Sampler.pick} chooses from all logits, or
 * undefined when the others might matter. Noise belongs to a candidate, not to a sum, so that the winner of any set of
 * candidates is also the winner of each smaller set that holds it: a cut by top-p need not be known exactly, only to be
 * behind the winner and among the candidates.
 */
export class TopSampler {
  readonly #vocabularySize: number;
  readonly #chance = new Chance();
  /** Running sums of the candidates' weights. */
  readonly #sums = new Float64Array(TOP_LOGITS);

  constructor(vocabularySize: number) {
    this.#vocabularySize = vocabularySize;
  }

  /** For sampling that {@link asksForTop}. `position` as in {@link Sampler.pick}. Throws Fault `bug` for logits that are not finite. */
  pick(top: TopLogits, sampling: Sampling, position: number): number | undefined {
    if (!Number.isFinite(top.logSumExp) || !Number.isFinite(top.logits[0]!)) {
      throw new Fault("bug", `the model computed logits whose exponentials sum to exp(${top.logSumExp}): no token can be chosen from that`);
    }
    if (sampling.temperature === 0) return top.ids[0]!;
    const kept = this.#keep(top, sampling);
    if (!kept) return undefined;
    this.#chance.start(sampling.seed, position);
    const winner = this.#draw(top, sampling.temperature, kept.high);
    return winner < kept.low ? top.ids[winner]! : undefined;
  }

  /** As {@link Sampler.score}, of a token that is among the candidates. */
  score(top: TopLogits, tokenId: number, topCount: number): TokenLogprob {
    const entry = (place: number) => ({ tokenId: top.ids[place]!, logprob: top.logits[place]! - top.logSumExp });
    const count = Math.min(topCount, top.ids.length);
    return { ...entry(top.ids.indexOf(tokenId)), top: Array.from({ length: count }, (_, place) => entry(place)) };
  }

  /** How many of the candidates truncation leaves, at least and at most. Undefined when it may leave others as well. */
  #keep(top: TopLogits, { temperature, topK, topP, minP }: Sampling): Bounds | undefined {
    const largest = top.logits[0]!;
    const countMax = topK > 0 ? Math.min(topK, this.#vocabularySize) : this.#vocabularySize;
    let count = 0;
    let sum = 0;
    let ended = false; // By min-p, or by a weight that is too small for a number.
    while (count < Math.min(countMax, top.ids.length)) {
      const weight = Math.exp((top.logits[count]! - largest) / temperature);
      ended = weight < minP || weight === 0;
      if (ended) break;
      sum += weight;
      this.#sums[count++] = sum;
    }
    const whole = ended || count === countMax;
    if (topP === 1) return whole ? { low: count, high: count } : undefined;
    if (whole && (minP > 0 || countMax < this.#vocabularySize)) {
      const cut = Math.min(count, this.#reaching(topP * sum, count) + 1); // The sampler adds up the same numbers in the same order.
      return { low: cut, high: cut };
    }
    const others = whole ? { low: 0, high: 0 } : this.#others(top, temperature, countMax - count);
    const low = this.#reaching(topP * (sum + (minP > 0 || topK > 0 ? 0 : others.low)) * (1 - SUM_ERROR), count);
    const high = this.#reaching(topP * (sum + others.high) * (1 + SUM_ERROR), count);
    return whole || high < count ? { low: Math.min(low + 1, count), high: Math.min(high + 1, count) } : undefined;
  }

  /**
   * Bounds of the weight of what is not among the candidates, at most `countMax` tokens. Their weights w at temperature 1 sum up
   * to what the candidates leave of the whole, and none exceeds the least candidate's; wanted is Σ wᵖ, p = 1/temperature.
   * With p ≥ 1, wᵖ ≤ w · leastᵖ⁻¹, and equal weights give the least sum (Jensen); with p < 1 it is the other way round.
   */
  #others(top: TopLogits, temperature: number, countMax: number): Bounds {
    const largest = top.logits[0]!;
    const power = 1 / temperature;
    const total = Math.exp(top.logSumExp - largest);
    const candidates = top.logits.reduce((sum, logit) => sum + Math.exp(logit - largest), 0);
    const left = { low: Math.max(0, total * (1 - SUM_ERROR) - candidates), high: Math.max(0, total * (1 + SUM_ERROR) - candidates) };
    const least = Math.exp(top.logits.at(-1)! - largest);
    const count = this.#vocabularySize - top.ids.length;
    const skewed = (weight: number) => (weight === 0 ? 0 : weight * least ** (power - 1));
    const even = (weight: number) => count * (weight / count) ** power;
    const [low, high] = power >= 1 ? [even(left.low), skewed(left.high)] : [skewed(left.low), even(left.high)];
    const most = countMax * least ** power;
    return { low: Math.min(low, most), high: Math.min(high, most) };
  }

  /** The first place whose running sum is at least `sum`; `count` when none is. */
  #reaching(sum: number, count: number): number {
    const place = this.#sums.subarray(0, count).findIndex((value) => value >= sum);
    return place < 0 ? count : place;
  }

  /** The place of the winner of the first `count` candidates. */
  #draw(top: TopLogits, temperature: number, count: number): number {
    const largest = top.logits[0]!;
    let best = Number.NEGATIVE_INFINITY;
    let winner = -1;
    for (let place = 0; place < count; place++) {
      const score = (top.logits[place]! - largest) / temperature + this.#chance.noise(top.ids[place]!);
      if (score < best || (score === best && top.ids[place]! > top.ids[winner]!)) continue;
      best = score;
      winner = place;
    }
    return winner;
  }
}
