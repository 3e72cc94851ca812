import { type Bytes, MIB } from "#kernel";
import type { BaseInfo } from "#model";
import type { WeightFormat } from "../../compute.ts";

/** How many sessions hold the weights of a base on the processor. */
export type WeightCopies = 1 | 2 | 3;

/**
 * The runtime packs weights for itself in every session, so a session for steps without deltas, beside one for steps with deltas,
 * holds them again. It spares a step what makes the graph fit both: per layer, four branches of 10 µs and fourteen inputs of 2 µs. With
 * eight layers that is 0.5 ms, a fifth of a step of one row where 32 M parameters lie in 8 bits. Reading this many bytes alone takes
 * 9 ms at 30 GB/s: larger bases would feel it less than what the memory is worth.
 */
const HELD_TWICE_MAX: Bytes = 256 * MIB;
/**
 * A third session for even steps spares those with deltas some hundred nodes and, in prompts, two copies of all activations: a fifth of
 * the time of a prompt of 64 tokens, a twentieth of a step of 16 rows, where 32 M parameters lie in 8 bits.
 */
const HELD_THRICE_MAX: Bytes = 128 * MIB;

const WEIGHT_BYTES: Readonly<Record<WeightFormat, number>> = { float32: 4, float16: 2, int8: 1, int4: 1 / 2 };

export function weightCopies({ parameterCount }: Pick<BaseInfo, "parameterCount">, weights: WeightFormat): WeightCopies {
  const bytes = parameterCount * WEIGHT_BYTES[weights];
  if (bytes <= HELD_THRICE_MAX) return 3;
  return bytes <= HELD_TWICE_MAX ? 2 : 1;
}
