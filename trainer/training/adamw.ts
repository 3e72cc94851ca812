/** Decoupled weight decay (AdamW, 1711.05101), in the order of operations of torch.optim.AdamW. */
export interface AdamWOptions {
  readonly beta1: number;
  readonly beta2: number;
  readonly epsilon: number;
  readonly weightDecay: number;
}

/** torch's own, but for the decay: a small delta has nothing to unlearn. */
export const ADAMW_DEFAULTS: AdamWOptions = { beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weightDecay: 0 };

/** A learned tensor with its running moments; all of one length. */
export interface Learned {
  readonly values: Float32Array<ArrayBuffer>;
  readonly mean: Float32Array<ArrayBuffer>;
  readonly variance: Float32Array<ArrayBuffer>;
}

/** Moves `values` against `gradient` × `scale`. `step` counts from 1. */
export function adamW(
  learned: Learned,
  gradient: Float32Array,
  scale: number,
  step: number,
  learningRate: number,
  options: AdamWOptions,
): void {
  const { beta1, beta2, epsilon, weightDecay } = options;
  const { values, mean, variance } = learned;
  const kept = 1 - learningRate * weightDecay;
  const stride = learningRate / (1 - beta1 ** step);
  const correction = Math.sqrt(1 - beta2 ** step);
  for (let index = 0; index < values.length; index++) {
    const slope = gradient[index]! * scale;
    mean[index] = beta1 * mean[index]! + (1 - beta1) * slope;
    variance[index] = beta2 * variance[index]! + (1 - beta2) * slope * slope;
    values[index] = values[index]! * kept - (stride * mean[index]!) / (Math.sqrt(variance[index]!) / correction + epsilon);
  }
}

/** What a gradient is multiplied by so that its norm is at most `normMax`, as torch's clip_grad_norm_ does it. */
export function clipScale(norm: number, normMax: number): number {
  return Math.min(1, normMax / (norm + 1e-6));
}

/** The Euclidean norm over all tensors, summed in double precision. */
export function gradientNorm(gradients: Iterable<Float32Array>): number {
  let sum = 0;
  for (const gradient of gradients) for (const slope of gradient) sum += slope * slope;
  return Math.sqrt(sum);
}
