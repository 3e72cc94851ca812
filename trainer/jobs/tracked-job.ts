import type { File, Hyperparameters, Job, StepMetrics } from "#proto";
import type { JsonFields, TrackedFile, TrackedRun, TrackedStep } from "../tracking/index.ts";

/** Files of a job, as those who have them know them. */
export interface JobFiles {
  readonly training: File | undefined;
  readonly validation: File | undefined;
  /** The bytes, read more than once. */
  content(file: File): Promise<Blob>;
}

/** A job as experiment trackers show it; with `wandb` where that integration says. */
export function trackedRun(job: Job, files: JobFiles): TrackedRun {
  const wandb = job.integrations.find(({ type }) => type === "wandb");
  const [training, validation] = [files.training, files.validation].map((file) => file && trackedFile(file, files));
  return {
    id: job.id,
    name: wandb?.name || job.id,
    ...(wandb?.project && { project: wandb.project }),
    ...(wandb?.entity && { entity: wandb.entity }),
    tags: wandb?.tags ?? [],
    baseModel: job.model,
    startedAtMs: job.startedAtMs || job.createdAtMs,
    config: jobConfig(job),
    ...(training && { trainingFile: training }),
    ...(validation && { validationFile: validation }),
  };
}

/** What was measured at a step; what was not stays absent. */
export function trackedStep(metrics: StepMetrics, atMs: number): TrackedStep {
  const measured = Object.fromEntries(Object.entries(metrics).filter(([, value]) => value !== undefined));
  return { ...(measured as unknown as TrackedStep), atMs };
}

function jobConfig(job: Job): JsonFields {
  const { epochs, batchSize, learningRateMultiplier, rank, alpha, promptLossWeight } = job.chosen ?? job.wished ?? ({} as Hyperparameters);
  const hyperparameters = {
    ...{ n_epochs: epochs ?? "auto", batch_size: batchSize ?? "auto", learning_rate_multiplier: learningRateMultiplier ?? "auto" },
    ...{ rank: rank ?? "auto", alpha: alpha ?? "auto", prompt_loss_weight: promptLossWeight ?? 0 },
  };
  return {
    ...{ id: job.id, object: "fine_tuning.job", model: job.model, created_at: new Date(job.createdAtMs).toISOString() },
    ...{ training_file: job.trainingFile, validation_file: job.validationFile || null, seed: Number(job.seed), suffix: job.suffix },
    ...{ hyperparameters, auto: job.auto, base_digest: job.baseDigest, metadata: { ...job.metadata } },
  };
}

function trackedFile(file: File, files: JobFiles): TrackedFile {
  const { id, filename, purpose, sizeBytes, createdAtMs } = file;
  const metadata = { id, object: "file", filename, purpose, bytes: sizeBytes, created_at: Math.floor(createdAtMs / 1000) };
  return { id, filename, metadata, content: () => files.content(file) };
}
