import { assert, Fault, type Random, seededRandom, type Tokens } from "#kernel";
import { ADAMW_DEFAULTS, type AdamWOptions, adamW, clipScale, gradientNorm, type Learned } from "./adamw.ts";
import { packBatch, planEpoch } from "./batches.ts";
import { type Example, learnedTokens } from "./example.ts";
import type { Computed, GradientSession } from "./gradient-session.ts";
import { type LearningRateSchedule, learningRateAt } from "./learning-rate.ts";

/** Everything that decides what is learned: equal plans on equal machines give equal parameters, bit for bit. */
export interface TrainingPlan {
  readonly examples: readonly Example[];
  readonly epochs: number;
  /** Examples per step. */
  readonly batchSize: number;
  readonly schedule: LearningRateSchedule;
  readonly optimizer: AdamWOptions;
  /** Longer gradients are cut to this norm. */
  readonly gradientNormMax: number;
  /** Places computed at once; more of a batch is computed in turns and added up. Bounds the memory. */
  readonly microbatchTokensMax: Tokens;
  readonly seed: number;
}

export const TRAINING_DEFAULTS = { optimizer: ADAMW_DEFAULTS, gradientNormMax: 1, microbatchTokensMax: 2048 } as const;

/** Where a training stands: with the plan, all that is needed to go on. */
export interface TrainingState {
  /** Steps done. */
  step: number;
  readonly learned: ReadonlyMap<string, Learned>;
}

export interface StepReport {
  /** From 1. */
  readonly step: number;
  /** From 0. */
  readonly epoch: number;
  /** Mean over the learned tokens of the batch, by their weights; natural logarithm. */
  readonly loss: number;
  /** Share of learned tokens that were the most likely one. */
  readonly accuracy: number;
  readonly learningRate: number;
  readonly gradientNorm: number;
  /** Of the batch, learned or not: what is charged. */
  readonly tokens: Tokens;
}

/** A fresh state over initial values, which it takes over. */
export function initialState(values: ReadonlyMap<string, Float32Array<ArrayBuffer>>): TrainingState {
  const learned = [...values].map(
    ([name, own]) => [name, { values: own, mean: new Float32Array(own.length), variance: new Float32Array(own.length) }] as const,
  );
  return { step: 0, learned: new Map(learned) };
}

export function stepsPerEpoch({ examples, batchSize }: Pick<TrainingPlan, "examples" | "batchSize">): number {
  return Math.ceil(examples.length / batchSize);
}

/**
 * Goes on from `state`, which changes as it goes, and reports after each step. Leave it after a report to stop.
 * @throws Fault weights_not_finite when the loss or a gradient stops being a number
 */
export async function* train(session: GradientSession, plan: TrainingPlan, state: TrainingState): AsyncGenerator<StepReport> {
  const perEpoch = stepsPerEpoch(plan);
  const lengths = plan.examples.map(({ tokenIds }) => tokenIds.length);
  for (let epoch = Math.floor(state.step / perEpoch); epoch < plan.epochs; epoch++) {
    const batches = planEpoch(lengths, plan.batchSize, epochRandom(plan.seed, epoch));
    for (let at = state.step - epoch * perEpoch; at < perEpoch; at++) {
      yield {
        epoch,
        ...(await trainStep(
          session,
          plan,
          state,
          batches[at]!.map((index) => plan.examples[index]!),
        )),
      };
    }
  }
}

/** One step on one batch. */
export async function trainStep(
  session: GradientSession,
  plan: Omit<TrainingPlan, "examples" | "epochs" | "batchSize" | "seed">,
  state: TrainingState,
  batch: readonly Example[],
): Promise<Omit<StepReport, "epoch">> {
  const values = valuesOf(state);
  const step = state.step + 1;
  let loss = 0;
  let hits = 0;
  let sums: Map<string, Float32Array> | undefined;
  for (const part of packBatch(batch, plan.microbatchTokensMax)) {
    const computed = await session.run(part, values);
    loss += computed.loss;
    hits += computed.hits;
    if (sums) for (const [name, gradient] of computed.gradients) addInto(sums.get(name)!, gradient);
    else sums = new Map(computed.gradients);
  }
  assert(sums, "a batch has examples");
  const norm = gradientNorm(sums.values());
  if (!Number.isFinite(loss + norm))
    throw new Fault("weights_not_finite", `the loss is no number any more at step ${step}: lower the learning rate`);
  const learningRate = learningRateAt(plan.schedule, step);
  const scale = clipScale(norm, plan.gradientNormMax);
  for (const [name, learned] of state.learned) adamW(learned, sums.get(name)!, scale, step, learningRate, plan.optimizer);
  state.step = step;
  const tokens = batch.reduce((sum, { tokenIds }) => sum + tokenIds.length, 0);
  return { step, loss, accuracy: hits / countLearned(batch), learningRate, gradientNorm: norm, tokens };
}

/** Mean loss and accuracy over held-out examples. */
export async function validate(
  session: GradientSession,
  state: TrainingState,
  examples: readonly Example[],
  microbatchTokensMax: Tokens,
): Promise<{ readonly loss: number; readonly accuracy: number }> {
  const values = valuesOf(state);
  const parts: Computed[] = [];
  for (const part of packBatch(examples, microbatchTokensMax)) parts.push(await session.score(part, values));
  const sum = (pick: (part: Computed) => number) => parts.reduce((total, part) => total + pick(part), 0);
  return { loss: sum(({ loss }) => loss), accuracy: sum(({ hits }) => hits) / countLearned(examples) };
}

/** Every epoch has draws of its own, so that one can be found again without those before it. */
function epochRandom(seed: number, epoch: number): Random {
  return seededRandom(seed).fork(`epoch ${epoch}`);
}

function valuesOf(state: TrainingState): ReadonlyMap<string, Float32Array<ArrayBuffer>> {
  return new Map([...state.learned].map(([name, { values }]) => [name, values]));
}

function countLearned(examples: readonly Example[]): number {
  return examples.reduce((count, example) => count + learnedTokens(example), 0);
}

function addInto(sum: Float32Array, more: Float32Array): void {
  for (let index = 0; index < sum.length; index++) sum[index]! += more[index]!;
}
