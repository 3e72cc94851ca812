import { type Bytes, MIB } from "#kernel";
import type { BaseInfo } from "#model";
import type { WeightFormat } from "../../compute.ts";

/**
 * The runtime packs weights for itself in every session, so a session for steps without deltas, beside one for steps with deltas,
 * holds them again. It spares a step what makes the graph fit both: per layer, four branches of 10 µs and fourteen inputs of 2 µs. With
 * eight layers that is 0.5 ms, a fifth of a step of one row where 32 M parameters lie in 8 bits. Reading this many bytes alone takes
 * 9 ms at 30 GB/s: larger bases would feel it less than what the memory is worth.
 */
const HELD_TWICE_MAX: Bytes = 256 * MIB;

const WEIGHT_BYTES: Readonly<Record<WeightFormat, number>> = { float32: 4, float16: 2, int8: 1, int4: 1 / 2 };

/** How many sessions hold the weights of a base on the processor. */
export function weightCopies({ parameterCount }: Pick<BaseInfo, "parameterCount">, weights: WeightFormat): 1 | 2 {
  return parameterCount * WEIGHT_BYTES[weights] <= HELD_TWICE_MAX ? 2 : 1;
}
