import { hash } from "node:crypto";

/** Of which share of its places a table is enlarged: probing stays short. */
const LOAD_MAX = 0.6;

/**
 * Which texts were seen, in 8 bytes a place instead of the texts themselves. Two texts are taken for one when the first
 * 64 bits of their SHA-256 are equal: among ten million with a chance of 3 in a million.
 */
export class FingerprintSet {
  /** Pairs of words; a pair of zeros is an empty place. */
  #places = new Uint32Array(2 * 1024);
  #size = 0;

  get size(): number {
    return this.#size;
  }

  /** Whether the text is new. */
  add(text: string): boolean {
    const digest = hash("sha256", text, "buffer");
    // The lowest bit is set so that no fingerprint is a pair of zeros.
    if (!insert(this.#places, digest.readUInt32LE(0) | 1, digest.readUInt32LE(4))) return false;
    this.#size++;
    if (this.#size > (this.#places.length / 2) * LOAD_MAX) this.#grow();
    return true;
  }

  #grow(): void {
    const larger = new Uint32Array(this.#places.length * 2);
    for (let at = 0; at < this.#places.length; at += 2) {
      const low = this.#places[at]!;
      if (low !== 0) insert(larger, low, this.#places[at + 1]!);
    }
    this.#places = larger;
  }
}

function insert(places: Uint32Array, low: number, high: number): boolean {
  const mask = places.length / 2 - 1;
  const wanted = low >>> 0;
  for (let place = high & mask; ; place = (place + 1) & mask) {
    const found = places[2 * place]!;
    if (found === 0) {
      places[2 * place] = wanted;
      places[2 * place + 1] = high;
      return true;
    }
    if (found === wanted && places[2 * place + 1] === high) return false;
  }
}
