import { type CatalogView, deltaName, isJobOver, type JobRecord } from "../catalog/index.ts";
import type { JobEvent } from "../fine-tuning/index.ts";

/** Jobs, their events and checkpoints in OpenAI's shapes. Times in seconds. */

export function jobShape(view: CatalogView, job: JobRecord) {
  const hyperparameters = hyperparametersShape(job);
  return {
    object: "fine_tuning.job",
    id: job.id,
    model: job.baseName,
    created_at: seconds(job.createdAt),
    finished_at: job.finishedAt === undefined ? null : seconds(job.finishedAt),
    estimated_finish: job.estimatedFinishAt === undefined ? null : seconds(job.estimatedFinishAt),
    fine_tuned_model: job.state === "succeeded" ? modelName(view, job.published) : null,
    organization_id: job.tenantId,
    result_files: job.resultFiles,
    status: job.state,
    training_file: job.trainingFile,
    validation_file: job.validationFile ?? null,
    hyperparameters,
    method: { type: "supervised", supervised: { hyperparameters } },
    trained_tokens: isJobOver(job) ? job.trainedTokens : null,
    error: job.error ? { code: job.error.code, message: job.error.message, param: job.error.field || null } : null,
    integrations: job.integrations.map(({ type, project, name, entity, tags }) => ({
      type,
      wandb: { project, name: name || null, entity: entity || null, tags },
    })),
    seed: job.seed,
    metadata: job.metadata,
    user_provided_suffix: job.suffix,
    // Not OpenAI's: why the hyper-parameters are what they are, and how far it has come.
    reasons: job.reasons,
    auto: job.auto,
    ...{ steps_done: job.stepsDone, steps_total: job.stepsTotal },
  };
}

/** What was chosen, else what was asked for, else `auto`. */
function hyperparametersShape({ chosen, wished }: JobRecord) {
  const { epochs, batchSize, learningRateMultiplier, rank, alpha, rankStabilised, promptLossWeight, checkpointSteps } = chosen ?? wished;
  return {
    n_epochs: epochs ?? "auto",
    batch_size: batchSize ?? "auto",
    learning_rate_multiplier: learningRateMultiplier ?? "auto",
    rank: rank ?? "auto",
    ...(alpha !== undefined && { alpha }),
    ...(rankStabilised !== undefined && { rank_stabilised: rankStabilised }),
    ...(promptLossWeight !== undefined && { prompt_loss_weight: promptLossWeight }),
    ...(checkpointSteps !== undefined && { checkpoint_steps: checkpointSteps }),
  };
}

export function eventShape(jobId: string, { position, at, level, message, metrics }: JobEvent) {
  return {
    object: "fine_tuning.job.event",
    id: eventId(jobId, position),
    created_at: seconds(at),
    level,
    message,
    type: metrics ? "metrics" : "message",
    data: metrics ? metricsShape(metrics) : {},
  };
}

const EVENT_ID = /^ftevent-([0-9a-f]{24})-([1-9]\d{0,9})$/;

function eventId(jobId: string, position: number): string {
  return `ftevent-${jobId.slice("ftjob-".length)}-${position}`;
}

/** Where an event stands in its job; undefined for what is no event of this one. */
export function eventPosition(jobId: string, id: string): number | undefined {
  const [, job, position] = EVENT_ID.exec(id) ?? [];
  return job !== undefined && jobId === `ftjob-${job}` ? Number(position) : undefined;
}

export function checkpointShape(view: CatalogView, job: JobRecord, { step, createdAt, delta, metrics }: JobRecord["checkpoints"][number]) {
  return {
    object: "fine_tuning.job.checkpoint",
    id: `ftckpt_${job.id.slice("ftjob-".length)}-${step}`,
    created_at: seconds(createdAt),
    step_number: step,
    fine_tuned_model_checkpoint: modelName(view, delta),
    fine_tuning_job_id: job.id,
    metrics: metricsShape(metrics),
  };
}

/** OpenAI's objects call one metric otherwise than its result file does. */
function metricsShape({ train_accuracy: accuracy, ...metrics }: Readonly<Record<string, number>>) {
  return { ...metrics, ...(accuracy !== undefined && { train_mean_token_accuracy: accuracy }) };
}

/** Null for a model that its tenant has removed. */
function modelName(view: CatalogView, digest: JobRecord["published"]): string | null {
  const delta = digest && view.get("delta", digest);
  return delta ? deltaName(delta) : null;
}

function seconds(at: number): number {
  return Math.floor(at / 1000);
}
