import { join } from "node:path";
import { Fault } from "#kernel";
import type { Job } from "#proto";
import type { TrainingOptions } from "../process/index.ts";
import { TRAINING_DEFAULTS } from "../training/plan.ts";
import type { ShelvedBase } from "./base-shelf.ts";
import { examplesOf, type Split } from "./held-out.ts";
import { chooseHyperparameters } from "./hyperparameter-choice.ts";
import type { ReadFile } from "./job-validation.ts";

/** Validations in a row without a better score before a job with `auto` ends. */
const PATIENCE = 3;

/** The folders of a job on its trainer. */
export interface JobFolders {
  readonly checkpoints: string;
  readonly result: string;
  readonly epochs: string;
}

/** `root` and all in it goes with the trainer's turn; `runs` stays. */
export function jobFolders(directory: string, jobId: string): JobFolders & { readonly root: string; readonly runs: string } {
  const root = join(directory, "jobs", jobId);
  const runs = join(directory, "runs");
  return { runs, root, checkpoints: join(root, "checkpoints"), result: join(root, "result"), epochs: join(root, "epochs") };
}

/**
 * What a job's training is started with: the same on every trainer, or its checkpoints would be of another plan.
 * @throws Fault message_malformed for a job whose hyper-parameters were not chosen
 */
export function trainingOptions(job: Job, base: ShelvedBase, folders: JobFolders, read: ReadFile, heldBack: boolean): TrainingOptions {
  const { chosen } = job;
  if (!chosen) throw new Fault("message_malformed", `${job.id} was not checked`, { detail: { field: "chosen" } });
  const { epochs, batchSize, rank, rankStabilised, promptLossWeight, checkpointSteps, alpha } = required(chosen);
  // The learning rate does not depend on the examples' number.
  const { learningRate } = chooseHyperparameters(chosen, { examples: 1, parameterCount: base.info.parameterCount, stopsEarly: false });
  const part = (fileId: string, split: Split) => examplesOf(read(fileId), base, split, promptLossWeight);
  const validates = job.validationFile !== "" || heldBack;
  const heldOut = job.validationFile === "" ? part(job.trainingFile, "held_out") : part(job.validationFile, "all");
  return {
    ...{ baseDirectory: base.directory, baseName: job.model },
    learnable: { kind: "delta", rank, alpha, rankStabilised, ...(chosen.targets.length > 0 && { targets: chosen.targets }) },
    plan: {
      ...TRAINING_DEFAULTS,
      ...{ epochs, batchSize, learningRate, seed: Number(job.seed), validateEverySteps: checkpointSteps },
      ...(job.auto && validates && { patience: PATIENCE }),
      ...(job.classificationMetrics && { classification: {} }),
    },
    examples: part(job.trainingFile, heldBack ? "train" : "all"),
    ...(validates && { heldOut }),
    ...{ checkpointDirectory: folders.checkpoints, checkpointEverySteps: checkpointSteps },
    ...{ resultDirectory: folders.result, epochDirectory: folders.epochs },
  };
}

type Required<T> = { readonly [K in keyof T]-?: NonNullable<T[K]> };

function required<T extends object>(value: T): Required<T> {
  return value as Required<T>;
}
