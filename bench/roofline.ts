import type { BaseInfo } from "#model";

/** What the machine can do at most, measured by `openRateMeter`. */
export interface MachineRates {
  readonly flopsPerSecond: number;
  readonly bytesPerSecond: number;
}

/** What one decode step asks for. */
export interface StepShape {
  readonly rows: number;
  /** Positions that each row attends to, its own included. */
  readonly contextTokens: number;
  /** Parameters (A and B of all layers) of each distinct delta that some row of the batch uses. */
  readonly deltaParameters: readonly number[];
  /** Rows that use a delta; they are spread evenly over the distinct ones. */
  readonly deltaRows: number;
  /** Of one number of weights, deltas and cache. Default: float32. */
  readonly numberBytes?: number;
  /** Of each weight of linears and head, where it has fewer bits. Default: `numberBytes`. */
  readonly weightBytes?: number;
}

export interface StepWork {
  readonly flops: number;
  readonly bytes: number;
}

const FLOAT_BYTES = 4;

/**
 * The least work of one decode step, whatever the implementation does:
 *
 * - flops: per row two per weight of every linear layer and of the head, four per position, layer, head and its width (scores and values),
 *   and two per parameter of the row's *own* delta. What packed tables compute for other rows' deltas and throw away does not count as useful.
 * - bytes: every weight once per step, each distinct delta once, and the keys and values of each row's context.
 *
 * Norms, rotations, softmax and the embedding's few rows are left out: they only make the true floor higher, so shares err to the low side.
 */
export function stepWork(base: BaseInfo, step: StepShape): StepWork {
  const weights = linearWeights(base);
  const deltaParameters = step.deltaParameters.reduce((sum, parameters) => sum + parameters, 0);
  const perRowDelta = step.deltaParameters.length === 0 ? 0 : deltaParameters / step.deltaParameters.length;
  const attention = 4 * base.layerCount * base.headCount * base.headSize * step.contextTokens;
  const { numberBytes = FLOAT_BYTES, weightBytes = numberBytes } = step;
  const kvBytes = 2 * base.layerCount * base.kvHeadCount * base.headSize * step.contextTokens * numberBytes;
  return {
    flops: step.rows * (2 * weights + attention) + step.deltaRows * 2 * perRowDelta,
    bytes: weightBytes * weights + numberBytes * deltaParameters + step.rows * kvBytes,
  };
}

/** Seconds that the machine needs at least: the slower of computing and reading, as if they overlapped fully (Williams et al. 2009). */
export function rooflineSeconds(work: StepWork, rates: MachineRates): number {
  return Math.max(work.flops / rates.flopsPerSecond, work.bytes / rates.bytesPerSecond);
}

/** Weights that a step multiplies with: all linear layers and the head, which counts also where it is tied to the embedding. */
function linearWeights(base: BaseInfo): number {
  const linears = base.linears.reduce((sum, { inputSize, outputSize }) => sum + inputSize * outputSize, 0);
  return linears + base.hiddenSize * base.vocabularySize;
}
