import { assert, Fault, type Tokens } from "#kernel";
import { type AdamWOptions, adamW, clipScale, gradientNorm } from "./adamw.ts";
import { packBatch } from "./batches.ts";
import { type Example, learnedTokens } from "./example.ts";
import type { GradientSession } from "./gradient-session.ts";
import { type LearningRateSchedule, learningRateAt } from "./learning-rate.ts";
import { currentValues, type TrainingState } from "./training-state.ts";

export interface StepSettings {
  readonly schedule: LearningRateSchedule;
  readonly optimizer: AdamWOptions;
  readonly gradientNormMax: number;
  /** Places computed at once; more of a batch is computed in turns and added up. Bounds the memory. */
  readonly microbatchTokensMax: Tokens;
}

export interface StepReport {
  /** From 1. */
  readonly step: number;
  /** Mean over the learned tokens of the batch, by their weights; natural logarithm. */
  readonly loss: number;
  /** Share of learned tokens that were the most likely one. */
  readonly accuracy: number;
  readonly learningRate: number;
  /** Before it was cut. */
  readonly gradientNorm: number;
  /** Of the batch, learned or not: what is charged. */
  readonly tokens: Tokens;
}

/**
 * One step on one batch, which changes `state`.
 *
 * @throws Fault weights_not_finite when the loss or a gradient is no number; the state is then as before
 */
export async function trainStep(
  session: GradientSession,
  settings: StepSettings,
  state: TrainingState,
  batch: readonly Example[],
): Promise<StepReport> {
  const values = currentValues(state);
  const step = state.step + 1;
  let loss = 0;
  let hits = 0;
  let sums: ReadonlyMap<string, Float32Array> | undefined;
  for (const part of packBatch(batch, settings.microbatchTokensMax)) {
    const computed = await session.run(part, values);
    loss += computed.loss;
    hits += computed.hits;
    if (sums) for (const [name, gradient] of computed.gradients) addInto(sums.get(name)!, gradient);
    else sums = computed.gradients;
  }
  assert(sums, "a batch has examples");
  const norm = gradientNorm(sums.values());
  if (!Number.isFinite(loss + norm))
    throw new Fault("weights_not_finite", `the loss is no number any more at step ${step}: lower the learning rate`);
  const learningRate = learningRateAt(settings.schedule, step);
  const scale = clipScale(norm, settings.gradientNormMax);
  for (const [name, learned] of state.learned) adamW(learned, sums.get(name)!, scale, step, learningRate, settings.optimizer);
  const tokens = batch.reduce((sum, { tokenIds }) => sum + tokenIds.length, 0);
  state.step = step;
  state.trainedTokens += tokens;
  return { step, loss, accuracy: hits / countLearned(batch), learningRate, gradientNorm: norm, tokens };
}

function countLearned(examples: readonly Example[]): number {
  return examples.reduce((count, example) => count + learnedTokens(example), 0);
}

function addInto(sum: Float32Array, more: Float32Array): void {
  for (let index = 0; index < sum.length; index++) sum[index]! += more[index]!;
}
