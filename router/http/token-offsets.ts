/** The length in JavaScript's units (UTF-16) of the characters that begin within some bytes of UTF-8. */
function unitsOf(bytes: Uint8Array): number {
  let units = 0;
  for (const byte of bytes) {
    const continues = (byte & 0xc0) === 0x80;
    if (!continues) units += byte >= 0xf0 ? 2 : 1;
  }
  return units;
}

/**
 * Where each token of a text begins in it. Counted in bytes, since a token may be part of a character; whatever comes in
 * pieces, streamed or not, gives the same offsets.
 */
export class TokenOffsets {
  #at: number;

  constructor(start = 0) {
    this.#at = start;
  }

  take(raw: Uint8Array): number {
    const begins = this.#at;
    this.#at += unitsOf(raw);
    return begins;
  }
}
