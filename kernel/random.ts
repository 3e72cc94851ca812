/** Chance, injected. Equal seeds give equal sequences on every machine. */
export interface Random {
  /** Uniform in [0, 1), 53 bits. */
  float(): number;
  /** Uniform integer in [0, bound). */
  below(bound: number): number;
  /** 64 uniform bits. */
  bits(): bigint;
  /** An independent generator, so that one part's draws never shift another's. */
  fork(label: string): Random;
}

const MASK = (1n << 64n) - 1n;

/** One output of SplitMix64 (Steele, Lea, Flood 2014): a good mix of 64 bits, also usable as a counter-based generator. */
export function mix64(value: bigint): bigint {
  let z = (value + 0x9e3779b97f4a7c15n) & MASK;
  z = ((z ^ (z >> 30n)) * 0xbf58476d1ce4e5b9n) & MASK;
  z = ((z ^ (z >> 27n)) * 0x94d049bb133111ebn) & MASK;
  return z ^ (z >> 31n);
}

/** A SplitMix64 generator. Not for secrets. */
export function seededRandom(seed: bigint | number): Random {
  let state = BigInt(seed) & MASK;
  const bits = (): bigint => {
    const output = mix64(state);
    state = (state + 0x9e3779b97f4a7c15n) & MASK;
    return output;
  };
  const float = (): number => Number(bits() >> 11n) / 2 ** 53;
  return {
    bits,
    float,
    below: (bound) => Math.floor(float() * bound),
    fork(label) {
      let hash = bits();
      for (const byte of Buffer.from(label)) hash = mix64(hash ^ BigInt(byte));
      return seededRandom(hash);
    },
  };
}
