import { Fault, isFault } from "#kernel";
import type { Job } from "#proto";
import { type TrainingBase, type TrainingFileSummary, validateTrainingFile } from "../data/index.ts";
import { HELD_OUT_RECORDS_MIN, holdsBack, trainedRecords } from "./held-out.ts";
import { type ChosenHyperparameters, chooseHyperparameters } from "./hyperparameter-choice.ts";

/** What the check of a job's files comes to. */
export interface ValidatedJob extends ChosenHyperparameters {
  /** Of the whole training, what is billed at most. */
  readonly plannedTokens: number;
  readonly training: TrainingFileSummary;
}

/** Reads one of the job's files from its beginning. */
export type ReadFile = (fileId: string) => AsyncIterable<Uint8Array>;

/**
 * Checks the files of a job from end to end, and chooses what was not asked for.
 * @throws Fault as {@link validateTrainingFile}, naming the file's field and the first wrong lines
 */
export async function validateJob(
  job: Job,
  base: TrainingBase & { readonly info: { readonly parameterCount: number } },
  read: ReadFile,
): Promise<ValidatedJob> {
  const wished = job.wished ?? { targets: [] };
  const options = wished.promptLossWeight === undefined ? {} : { promptLossWeight: wished.promptLossWeight };
  const training = await validateTrainingFile(read(job.trainingFile), base, options);
  if (job.validationFile !== "") await validateHeldOut(job, base, read);
  const heldBack = holdsBack(job, training.records);
  const share = trainedRecords(training.records, heldBack) / training.records;
  const choice = chooseHyperparameters(wished, {
    examples: Math.max(1, Math.round(training.examples * share)),
    parameterCount: base.info.parameterCount,
    stopsEarly: job.auto && (heldBack || job.validationFile !== ""),
  });
  const reasons = { ...choice.reasons, ...heldBackReason(job, training.records, heldBack) };
  return { ...choice, reasons, training, plannedTokens: training.tokens * choice.chosen.epochs };
}

/** `validation` only where examples are held back: by it the training knows later. */
function heldBackReason(job: Job, records: number, heldBack: boolean): Readonly<Record<string, string>> {
  if (heldBack) return { validation: "every tenth example is held back; training stops when they get no better" };
  if (!job.auto || job.validationFile !== "") return {};
  const why = `the file has ${records} records, and fewer than ${HELD_OUT_RECORDS_MIN} say too little to hold any back`;
  return { auto: `not followed: ${why}; training goes to its end, and its last state is kept` };
}

async function validateHeldOut(job: Job, base: TrainingBase, read: ReadFile): Promise<void> {
  try {
    await validateTrainingFile(read(job.validationFile), base);
  } catch (error) {
    if (!isFault(error) || error.detail.field !== "training_file") throw error;
    const message = error.message.replace(/^the training file/, "the validation file");
    throw new Fault(error.reason, message, { detail: { ...error.detail, field: "validation_file" } });
  }
}
