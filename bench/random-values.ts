/**
 * `count` uniform values with mean 0 and the given standard deviation; the same for the same seed on every machine.
 * Xorshift32 (Marsaglia 2003): weak, and fast enough to fill a model of 124 M parameters in about a second.
 */
export function randomValues(count: number, deviation: number, seed: number): Float32Array<ArrayBuffer> {
  const values = new Float32Array(count);
  const scale = (deviation * Math.sqrt(3)) / 2 ** 31;
  let state = Math.imul(seed + 1, 0x9e3779b1) | 1;
  for (let index = 0; index < count; index++) {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    values[index] = state * scale;
  }
  return values;
}
