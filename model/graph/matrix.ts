import type { Family } from "./family.ts";

/** The weights of a linear layer, or of several that share their input, one after another by output. */
export interface MatrixShape {
  readonly inputSize: number;
  readonly outputSize: number;
  readonly order: Family["weightOrder"];
}

export interface Matrix extends MatrixShape {
  readonly values: Float32Array;
}

/** How far apart two inputs of one output lie in the values, and two outputs of one input. */
export function strides({ inputSize, outputSize, order }: MatrixShape): { readonly input: number; readonly output: number } {
  return order === "out_in" ? { input: 1, output: inputSize } : { input: outputSize, output: 1 };
}

/** The smallest scale that keeps its 24 bits; weights that would need a smaller one count as zero. */
export const SCALE_MIN = 2 ** -126;
