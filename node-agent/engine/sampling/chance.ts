import { mix64 } from "#kernel";

/** No noise is larger: the largest of 2^32 values. A token that lies farther below the best can't win. */
export const NOISE_MAX = gumbel(2 ** 32 - 1);

/**
 * The chance behind one token of a text: Gumbel noise for each candidate, a function of the request's seed, the position in
 * the text and the candidate's id, of nothing else. The candidate with the largest log-weight plus noise is a draw from
 * the softmax (Gumbel-max; Maddison, Tarlow, Minka 2014).
 *
 * Why not one uniform number against running sums: the logits of a row differ in their last digits with the size of the
 * batch it is computed in, sums over thousands of tokens shift with them, and the same seed gives another text. Here only two
 * candidates that lie within those last digits of each other can change places, however large the vocabulary.
 */
export class Chance {
  #key = 0;
  #salt = 0;

  /** Starts the chance for the token at `position`, counted from the end of the prompt. */
  start(seed: bigint, position: number): void {
    const key = mix64(mix64(BigInt.asUintN(64, seed)) ^ BigInt(position));
    this.#key = Number(key & 0xffffffffn) | 0;
    this.#salt = Number(key >> 32n) | 0;
  }

  /** 32 uniform bits for the candidate `id`: two rounds of a low-bias integer hash (Wellons), keyed before each. */
  bits(id: number): number {
    return scramble(scramble(id ^ this.#key) + this.#salt) >>> 0;
  }

  /** The candidate's noise. */
  noise(id: number): number {
    return gumbel(this.bits(id));
  }
}

/** Standard Gumbel noise from 32 uniform bits: −ln(−ln u), u in the middle of its cell. */
export function gumbel(bits: number): number {
  return -Math.log(-Math.log((bits + 0.5) / 2 ** 32));
}

/** The least bits whose noise exceeds `noise`, so that most candidates are dismissed without a logarithm. */
export function leastBitsAbove(noise: number): number {
  return Math.floor(Math.exp(-Math.exp(-noise)) * 2 ** 32 - 0.5);
}

function scramble(value: number): number {
  let x = value | 0;
  x = Math.imul(x ^ (x >>> 16), 0x21f0aaad);
  x = Math.imul(x ^ (x >>> 15), 0x735a2d97);
  return x ^ (x >>> 15);
}
