import { assert } from "#kernel";
import type { Sampling, TokenLogprob } from "../contract.ts";
import { Chance, gumbel, leastBitsAbove, NOISE_MAX } from "./chance.ts";
import { selectHeaviest } from "./heaviest.ts";
import { BLOCK_TOKENS, largestToken, TokenBlocks } from "./token-blocks.ts";
import { adjustLogits, type TokenHistory } from "./token-history.ts";
import { TokenRanking } from "./token-ranking.ts";

/** From so many kept tokens on, selecting them all at once is cheaper than ranking them one by one. */
const RANKED_TOKENS_MAX = 512;

/**
 * From logits to a token. The order is vLLM's: bias and penalties; then greedy (temperature 0: the largest logit, of
 * equal ones the lowest id), or temperature → min-p → top-k → top-p → one draw ({@link Chance}).
 *
 * A function of its arguments alone; what it keeps is room to work in, for one vocabulary. Greedy and plain temperature
 * read the logits once, truncation looks at the largest few where few are left, and nothing sorts the vocabulary.
 */
export class Sampler {
  readonly #vocabularySize: number;
  readonly #blocks: TokenBlocks;
  readonly #ranking: TokenRanking;
  readonly #chance = new Chance();
  readonly #adjusted: Float32Array;
  /** Running sums of the weights of the kept tokens. */
  readonly #sums: Float64Array;
  readonly #kept: Int32Array;
  /** By id. */
  readonly #weights: Float64Array;

  constructor(vocabularySize: number) {
    this.#vocabularySize = vocabularySize;
    this.#blocks = new TokenBlocks(vocabularySize);
    this.#ranking = new TokenRanking(this.#blocks);
    this.#adjusted = new Float32Array(vocabularySize);
    this.#sums = new Float64Array(vocabularySize);
    this.#kept = new Int32Array(vocabularySize);
    this.#weights = new Float64Array(vocabularySize);
  }

  /**
   * The token at `position` of the output (0 is the first after the prompt). `logits` [vocabularySize] are not changed.
   * `history` is needed only where {@link needsHistory} says so. Throws Fault `bug` for logits that are not finite.
   */
  pick(logits: Float32Array, sampling: Sampling, history: TokenHistory | undefined, position: number): number {
    assert(logits.length === this.#vocabularySize, `${logits.length} logits for a vocabulary of ${this.#vocabularySize}`);
    const adjusted = this.#adjust(logits, sampling, history);
    if (sampling.temperature === 0) return largestToken(adjusted);
    this.#blocks.summarise(adjusted);
    this.#chance.start(sampling.seed, position);
    const truncated = sampling.minP > 0 || sampling.topP < 1 || (sampling.topK > 0 && sampling.topK < this.#vocabularySize);
    return truncated ? this.#drawTruncated(sampling) : this.#drawFromAll(sampling.temperature);
  }

  /** What the model thought of `tokenId`, from its own `logits`: before bias, penalties, temperature and truncation (vLLM's raw_logprobs). */
  score(logits: Float32Array, tokenId: number, topCount: number): TokenLogprob {
    this.#blocks.summarise(logits);
    const normaliser = this.#blocks.largest + Math.log(this.#totalWeight(1));
    const entry = (id: number) => ({ tokenId: id, logprob: logits[id]! - normaliser });
    const top: ReturnType<typeof entry>[] = [];
    if (topCount > 0) this.#ranking.start();
    while (top.length < topCount) {
      const id = this.#ranking.next();
      if (id === undefined) break;
      top.push(entry(id));
    }
    return { ...entry(tokenId), top };
  }

  #adjust(logits: Float32Array, sampling: Sampling, history: TokenHistory | undefined): Float32Array {
    if (sampling.logitBias.size === 0 && !history) return logits;
    this.#adjusted.set(logits);
    adjustLogits(this.#adjusted, sampling, history);
    return this.#adjusted;
  }

  /** Of a logit, relative to the largest: 1 for that, less for others. */
  #weight(logit: number, temperature: number): number {
    return Math.exp((logit - this.#blocks.largest) / temperature);
  }

  #totalWeight(temperature: number): number {
    const { logits } = this.#blocks;
    let total = 0;
    for (let id = 0; id < logits.length; id++) total += this.#weight(logits[id]!, temperature);
    return total;
  }

  /**
   * The winner of all tokens. A token of a block can only win by a noise that lifts the block's largest logit above the best so
   * far: the block with the largest logit goes first, and of the others most tokens are dismissed by comparing integers.
   */
  #drawFromAll(temperature: number): number {
    const { count, maxima, logits, largest } = this.#blocks;
    let best = Number.NEGATIVE_INFINITY;
    let bestId = -1;
    const first = maxima.indexOf(largest);
    for (let turn = 0; turn < count; turn++) {
      const block = turn === 0 ? first : turn <= first ? turn - 1 : turn;
      const needed = best - (maxima[block]! - largest) / temperature;
      if (needed > NOISE_MAX) continue;
      let leastBits = leastBitsAbove(needed);
      const end = Math.min(logits.length, (block + 1) * BLOCK_TOKENS);
      for (let id = block * BLOCK_TOKENS; id < end; id++) {
        const bits = this.#chance.bits(id);
        if (bits < leastBits) continue;
        const score = (logits[id]! - largest) / temperature + gumbel(bits);
        if (score < best || (score === best && id > bestId)) continue;
        best = score;
        bestId = id;
        leastBits = leastBitsAbove(best - (maxima[block]! - largest) / temperature);
      }
    }
    return bestId;
  }

  /** The winner of what truncation leaves. */
  #drawTruncated(sampling: Sampling): number {
    const count = this.#keepRanked(sampling) ?? this.#keepSelected(sampling);
    const { logits, largest } = this.#blocks;
    let best = Number.NEGATIVE_INFINITY;
    let bestId = -1;
    for (let index = 0; index < count; index++) {
      const id = this.#kept[index]!;
      const score = (logits[id]! - largest) / sampling.temperature + this.#chance.noise(id);
      if (score < best || (score === best && id > bestId)) continue;
      best = score;
      bestId = id;
    }
    return bestId;
  }

  /**
   * Fills `kept` and `sums` with the tokens that min-p, top-k and top-p leave, most likely first, and says how many.
   * Undefined when they are more than {@link RANKED_TOKENS_MAX}.
   */
  #keepRanked({ temperature, topK, topP, minP }: Sampling): number | undefined {
    const countMax = topK > 0 ? Math.min(topK, this.#vocabularySize) : this.#vocabularySize;
    const wholeVocabulary = countMax === this.#vocabularySize && minP === 0;
    const sumMax = wholeVocabulary ? topP * this.#totalWeight(temperature) : Number.POSITIVE_INFINITY;
    let count = 0;
    let sum = 0;
    this.#ranking.start();
    while (count < countMax && sum < sumMax) {
      const id = this.#ranking.next();
      if (id === undefined) break;
      const weight = this.#weight(this.#blocks.logits[id]!, temperature);
      if (weight < minP || weight === 0) break;
      if (count === RANKED_TOKENS_MAX) return undefined;
      sum += weight;
      this.#kept[count] = id;
      this.#sums[count++] = sum;
    }
    // With top-k or min-p, top-p is a share of what those have left, known only now.
    return topP < 1 && !wholeVocabulary ? Math.min(count, this.#firstReaching(topP * sum, count) + 1) : count;
  }

  /** Fills `kept` with the same tokens in any order, and says how many: for flat distributions, of which much is left. */
  #keepSelected({ temperature, topK, topP, minP }: Sampling): number {
    const { logits } = this.#blocks;
    let count = 0;
    for (let id = 0; id < logits.length; id++) {
      const weight = this.#weight(logits[id]!, temperature);
      this.#weights[id] = weight;
      if (weight >= minP && weight > 0) this.#kept[count++] = id;
    }
    const keep = (countMax: number, sumMax: number) => {
      count = selectHeaviest(this.#kept.subarray(0, count), this.#weights, countMax, sumMax);
    };
    if (topK > 0 && topK < count) keep(topK, Number.POSITIVE_INFINITY);
    if (topP < 1) keep(count, topP * this.#sumKept(count));
    return count;
  }

  /** Of the weights of the first `count` kept tokens. */
  #sumKept(count: number): number {
    let sum = 0;
    for (let index = 0; index < count; index++) sum += this.#weights[this.#kept[index]!]!;
    return sum;
  }

  /** The first index whose running sum is at least `sum`. */
  #firstReaching(sum: number, count: number): number {
    const index = this.#sums.subarray(0, count).findIndex((value) => value >= sum);
    return index < 0 ? count - 1 : index;
  }
}
