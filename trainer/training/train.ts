import { type Random, seededRandom, type Tokens } from "#kernel";
import { planEpoch } from "./batches.ts";
import { type Classification, type ClassificationScore, scoreClassification } from "./classification.ts";
import type { GradientSession } from "./gradient-session.ts";
import type { PackedExamples } from "./packed-examples.ts";
import { scheduleOf, stepsPerEpoch, type TrainingPlan } from "./plan.ts";
import { type StepReport, trainStep } from "./train-step.ts";
import { currentValues, type TrainingState } from "./training-state.ts";
import { type Score, validate } from "./validate.ts";

/** What a training is fed with. */
export interface TrainingInput {
  readonly plan: TrainingPlan;
  readonly examples: PackedExamples;
  /** Perhaps none. */
  readonly heldOut: PackedExamples;
  readonly microbatchTokensMax: Tokens;
  /** Where the held-out answers are told apart; undefined where nobody asked, or there are too many different ones. */
  readonly classification: Classification | undefined;
}

export interface ValidationReport extends Score {
  readonly step: number;
  /** Better than all before. */
  readonly best: boolean;
  readonly classification: ClassificationScore | undefined;
}

/** One step, and the validation behind it if it was due. */
export interface Progress extends StepReport {
  /** From 0. */
  readonly epoch: number;
  readonly epochEnd: boolean;
  /** Of all steps so far. */
  readonly trainedTokens: Tokens;
  readonly validation: ValidationReport | undefined;
}

/**
 * Goes on from `state`, which changes as it goes, and reports after each step; between two reports the state is whole, to
 * be kept or left. Ends with the last epoch or, where the plan has patience, when nothing gets better.
 *
 * @throws Fault weights_not_finite when the loss or a gradient stops being a number
 */
export async function* train(session: GradientSession, input: TrainingInput, state: TrainingState): AsyncGenerator<Progress> {
  const { plan, examples, heldOut } = input;
  const perEpoch = stepsPerEpoch(examples.count, plan.batchSize);
  const settings = { ...plan, schedule: scheduleOf(plan, examples.count), microbatchTokensMax: input.microbatchTokensMax };
  const { totalSteps } = settings.schedule;
  for (let epoch = Math.floor(state.step / perEpoch); epoch < plan.epochs; epoch++) {
    const batches = planEpoch(examples.lengths, plan.batchSize, epochRandom(plan.seed, epoch));
    for (let at = state.step - epoch * perEpoch; at < perEpoch; at++) {
      if (isStalled(plan, state)) return;
      const batch = batches[at]!.map((index) => examples.at(index));
      const report = await trainStep(session, settings, state, batch);
      const due = heldOut.count > 0 && (report.step % plan.validateEverySteps === 0 || report.step === totalSteps);
      const validation = due ? await validateState(session, input, state) : undefined;
      yield { ...report, epoch, epochEnd: at === perEpoch - 1, trainedTokens: state.trainedTokens, validation };
    }
  }
}

/** Whether the training has ended early. */
function isStalled({ patience }: TrainingPlan, { validationsSinceBest }: TrainingState): boolean {
  return patience !== undefined && validationsSinceBest >= patience;
}

async function validateState(session: GradientSession, input: TrainingInput, state: TrainingState): Promise<ValidationReport> {
  const { plan, heldOut, microbatchTokensMax, classification } = input;
  const values = currentValues(state);
  const score = await validate(session, values, heldOut, microbatchTokensMax);
  const classes = classification && (await scoreClassification(session, values, classification, microbatchTokensMax));
  const best = score.loss < (state.best?.loss ?? Number.POSITIVE_INFINITY);
  state.validationsSinceBest = best ? 0 : state.validationsSinceBest + 1;
  if (best) state.best = { step: state.step, loss: score.loss, values: plan.patience === undefined ? undefined : copied(values) };
  return { step: state.step, ...score, best, classification: classes };
}

/** Every epoch has draws of its own, so that one can be found again without those before it. */
function epochRandom(seed: number, epoch: number): Random {
  return seededRandom(seed).fork(`epoch ${epoch}`);
}

function copied(values: ReadonlyMap<string, Float32Array<ArrayBuffer>>): ReadonlyMap<string, Float32Array<ArrayBuffer>> {
  return new Map([...values].map(([name, own]) => [name, own.slice()]));
}
