import { type Matrix, SCALE_MIN, strides } from "./matrix.ts";

/** Weights in 8 bits with one scale per output: weight ≈ steps · scale, off by half a step at most. */
export interface QuantisedChannels {
  /** [inputSize, outputSize], each from -127 to 127. */
  readonly steps: Int8Array<ArrayBuffer>;
  /** [outputSize] */
  readonly scales: Float32Array<ArrayBuffer>;
}

const STEPS_MAX = 127;

export function quantiseChannels(matrix: Matrix): QuantisedChannels {
  const { values, inputSize, outputSize } = matrix;
  const stride = strides(matrix);
  const steps = new Int8Array(inputSize * outputSize);
  const scales = new Float32Array(outputSize);
  for (let output = 0; output < outputSize; output++) {
    const start = output * stride.output;
    let largest = 0;
    for (let input = 0; input < inputSize; input++) largest = Math.max(largest, Math.abs(values[start + input * stride.input]!));
    const scale = Math.fround(largest / STEPS_MAX);
    if (scale < SCALE_MIN) continue;
    scales[output] = scale;
    const inverse = 1 / scale;
    for (let input = 0; input < inputSize; input++) {
      // Above zero, cutting off what is behind the point rounds down: several times as fast as Math.round.
      steps[input * outputSize + output] = ((values[start + input * stride.input]! * inverse + STEPS_MAX + 0.5) | 0) - STEPS_MAX;
    }
  }
  return { steps, scales };
}
