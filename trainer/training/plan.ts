import { createHash } from "node:crypto";
import { type BaseDigest, Fault } from "#kernel";
import type { DeltaSettings } from "#model";
import { ADAMW_DEFAULTS, type AdamWOptions } from "./adamw.ts";
import type { LearningRateSchedule } from "./learning-rate.ts";
import type { PackedExamples } from "./packed-examples.ts";

/** What is learned: a delta, or every weight of a copy of the base. */
export type Learnable = ({ readonly kind: "delta" } & DeltaSettings) | { readonly kind: "full" };

/** With base, examples and {@link Learnable} all that decides what is learned: equal on equal machines, bit for bit. */
export interface TrainingPlan {
  readonly epochs: number;
  /** Examples per step. */
  readonly batchSize: number;
  /** The highest of all steps. */
  readonly learningRate: number;
  /** Of all steps, those in which the learning rate rises. */
  readonly warmupShare: number;
  readonly decay: LearningRateSchedule["decay"];
  readonly optimizer: AdamWOptions;
  /** Longer gradients are cut to this norm. */
  readonly gradientNormMax: number;
  readonly seed: number;
  /** Held-out examples are scored after every so many steps, and at the end. */
  readonly validateEverySteps: number;
  /** Ends after so many validations in a row without a better loss, and keeps the best parameters; undefined: goes on to the end. */
  readonly patience?: number | undefined;
  /** Also says how well the answers of held-out examples are told apart, when they are few different ones. */
  readonly classification?: { readonly positive?: readonly number[] | undefined } | undefined;
}

export const TRAINING_DEFAULTS = {
  epochs: 3,
  batchSize: 8,
  learningRate: 1e-3,
  warmupShare: 0.06,
  decay: "linear",
  optimizer: ADAMW_DEFAULTS,
  gradientNormMax: 1,
  seed: 0,
  validateEverySteps: 50,
} as const satisfies TrainingPlan;

/** @throws Fault parameter_invalid naming the field that is out of its range */
export function checkPlan(plan: TrainingPlan): void {
  const range = (field: string, value: number, holds: boolean, wanted: string) => {
    if (!holds) throw new Fault("parameter_invalid", `${field}: ${value} is not ${wanted}`, { detail: { field } });
  };
  const count = (field: string, value: number) => range(field, value, Number.isSafeInteger(value) && value >= 1, "a whole number from 1");
  const share = (field: string, value: number) => range(field, value, value >= 0 && value < 1, "a number from 0 to below 1");
  const positive = (field: string, value: number) => range(field, value, value > 0 && Number.isFinite(value), "a number above 0");
  count("epochs", plan.epochs);
  range("epochs", plan.epochs, plan.epochs <= EPOCHS_MAX, `at most ${EPOCHS_MAX}`);
  count("batch_size", plan.batchSize);
  positive("learning_rate", plan.learningRate);
  share("warmup_share", plan.warmupShare);
  share("beta1", plan.optimizer.beta1);
  share("beta2", plan.optimizer.beta2);
  positive("epsilon", plan.optimizer.epsilon);
  range("weight_decay", plan.optimizer.weightDecay, plan.optimizer.weightDecay >= 0, "a number from 0");
  positive("gradient_norm_max", plan.gradientNormMax);
  range("seed", plan.seed, Number.isSafeInteger(plan.seed) && plan.seed >= 0, "a whole number from 0");
  count("validate_every_steps", plan.validateEverySteps);
  if (plan.patience !== undefined) count("patience", plan.patience);
}

/** Nobody reads a book so often; a larger number is a typing error. */
const EPOCHS_MAX = 1000;

export function stepsPerEpoch(examples: number, batchSize: number): number {
  return Math.ceil(examples / batchSize);
}

export function scheduleOf(plan: TrainingPlan, examples: number): LearningRateSchedule {
  const totalSteps = plan.epochs * stepsPerEpoch(examples, plan.batchSize);
  return { peak: plan.learningRate, warmupSteps: Math.round(plan.warmupShare * totalSteps), totalSteps, decay: plan.decay };
}

/** Raised when the same plan would give other parameters. */
const CODE_VERSION = 1;

/** SHA-256 (hex) of all that decides what is learned. */
export function planDigest(
  baseDigest: BaseDigest,
  learnable: Learnable,
  plan: TrainingPlan,
  train: PackedExamples,
  heldOut: PackedExamples,
): string {
  const parts = [CODE_VERSION, baseDigest, sorted(learnable), sorted(plan), train.digest(), heldOut.digest()];
  return createHash("sha256").update(JSON.stringify(parts)).digest("hex");
}

/** By name, so that the order in which somebody wrote the fields does not count. */
function sorted(value: object): unknown {
  return Object.entries(value)
    .filter(([, own]) => own !== undefined)
    .sort(([one], [other]) => (one < other ? -1 : 1))
    .map(([name, own]) => [name, typeof own === "object" && own !== null && !Array.isArray(own) ? sorted(own) : own]);
}
