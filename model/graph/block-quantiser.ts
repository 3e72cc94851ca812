import { type Matrix, type MatrixShape, SCALE_MIN, strides } from "./matrix.ts";

/** Weights in blocks of inputs that share a scale, as the runtime's MatMulNBits takes them. */
export interface BlockFormat {
  readonly bits: 4 | 8;
  /** Inputs per block: a power of two from 16. */
  readonly blockSize: number;
}

export interface QuantisedBlocks {
  /** [outputSize, blocks, blockSize · bits / 8]; of two 4-bit values in a byte, the first is the lower half. */
  readonly packed: Uint8Array<ArrayBuffer>;
  /** [outputSize, blocks] */
  readonly scales: Float32Array<ArrayBuffer>;
}

/** How many blocks the inputs of one output fill; the last may be filled up with zeros. */
export function blockCount(inputSize: number, { blockSize }: BlockFormat): number {
  return Math.ceil(inputSize / blockSize);
}

/** Shapes of {@link QuantisedBlocks}. */
export function blockShapes({ inputSize, outputSize }: Pick<MatrixShape, "inputSize" | "outputSize">, format: BlockFormat) {
  const blocks = blockCount(inputSize, format);
  return { packed: [outputSize, blocks, (format.blockSize * format.bits) / 8], scales: [outputSize, blocks] } as const;
}

/**
 * To the nearest of 2^bits steps around zero: weight ≈ (packed - 2^(bits-1)) · scale. There is one step more below zero than
 * above, so a scale has the sign that puts its block's largest weight on the lowest step, without an error (the way of GGUF's
 * Q4_0). No weight is off by more than half a step, but those of nearly that size and the other sign: by one.
 */
export function quantiseBlocks(matrix: Matrix, format: BlockFormat): QuantisedBlocks {
  const { values, inputSize, outputSize } = matrix;
  const { bits, blockSize } = format;
  const stride = strides(matrix);
  const blocks = blockCount(inputSize, format);
  const zero = 2 ** (bits - 1);
  const scales = new Float32Array(outputSize * blocks);
  const steps = new Uint8Array(outputSize * blocks * blockSize).fill(zero);
  for (let output = 0; output < outputSize; output++) {
    for (let block = 0; block < blocks; block++) {
      const from = block * blockSize;
      const count = Math.min(blockSize, inputSize - from);
      const start = output * stride.output + from * stride.input;
      const index = output * blocks + block;
      const scale = Math.fround(largest(values, start, stride.input, count) / -zero);
      if (Math.abs(scale) < SCALE_MIN) continue;
      scales[index] = scale;
      const inverse = 1 / scale;
      for (let offset = 0; offset < count; offset++) {
        // Above zero, cutting off what is behind the point rounds down: several times as fast as Math.round.
        const step = (values[start + offset * stride.input]! * inverse + zero + 0.5) | 0;
        steps[index * blockSize + offset] = Math.min(step, 2 * zero - 1);
      }
    }
  }
  return { packed: bits === 8 ? steps : pairs(steps), scales };
}

/** The value that is furthest from zero, with its sign. */
function largest(values: Float32Array, start: number, stride: number, count: number): number {
  let found = 0;
  for (let index = 0, at = start; index < count; index++, at += stride) {
    if (Math.abs(values[at]!) > Math.abs(found)) found = values[at]!;
  }
  return found;
}

function pairs(steps: Uint8Array): Uint8Array<ArrayBuffer> {
  const packed = new Uint8Array(steps.length / 2);
  for (let index = 0; index < packed.length; index++) packed[index] = steps[2 * index]! | (steps[2 * index + 1]! << 4);
  return packed;
}
