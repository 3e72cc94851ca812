import type { Random } from "#kernel";

/** Draws for hot loops: the kernel's generator works on 64-bit integers, which cost a microsecond each here. */
export interface FastRandom {
  /** Uniform in [0, 1), 32 bits. */
  float(): number;
  /** Uniform integer in [0, bound). */
  below(bound: number): number;
}

/** sfc32 (Doty-Humphrey's PractRand), seeded by one draw; equal seeds give equal sequences on every machine. */
export function createFastRandom(random: Random): FastRandom {
  const seed = random.bits();
  let a = Number(seed & 0xffffffffn) | 0;
  let b = Number(seed >> 32n) | 0;
  let c = 0x9e3779b9 | 0;
  let counter = 1;
  const next = (): number => {
    const sum = (((a + b) | 0) + counter) | 0;
    counter = (counter + 1) | 0;
    a = b ^ (b >>> 9);
    b = (c + (c << 3)) | 0;
    c = ((c << 21) | (c >>> 11)) + sum;
    return sum >>> 0;
  };
  for (let round = 0; round < 12; round++) next(); // The seed's bits reach all of the state.
  const float = (): number => next() / 2 ** 32;
  return { float, below: (bound) => Math.floor(float() * bound) };
}

/** Exponential with the given mean. */
export function exponential(random: FastRandom, mean: number): number {
  return -Math.log(1 - random.float()) * mean;
}

/** Standard normal (Box and Muller 1958); the second value is thrown away, which keeps the generator free of state. */
export function standardNormal(random: FastRandom): number {
  return Math.sqrt(-2 * Math.log(1 - random.float())) * Math.cos(2 * Math.PI * random.float());
}

/** Gamma with the given shape and mean (Marsaglia and Tsang 2000; shapes below 1 by their boost). */
export function gamma(random: FastRandom, shape: number, mean: number): number {
  if (shape < 1) return gamma(random, shape + 1, (mean * (shape + 1)) / shape) * (1 - random.float()) ** (1 / shape);
  const d = shape - 1 / 3;
  const c = 1 / Math.sqrt(9 * d);
  for (;;) {
    const normal = standardNormal(random);
    const cube = (1 + c * normal) ** 3;
    if (cube <= 0) continue;
    if (Math.log(1 - random.float()) < 0.5 * normal * normal + d - d * cube + d * Math.log(cube)) return (d * cube * mean) / shape;
  }
}
