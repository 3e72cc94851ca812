import {
  type Checkpoint,
  EventLevel,
  type File,
  type Hyperparameters,
  type Job,
  type JobEvent as JobEventMessage,
  JobState,
  type StepMetrics,
} from "#proto";
import { type CatalogView, deltaName, type FileRecord, type JobRecord } from "../catalog/index.ts";
import type { JobEvent, EventLevel as Level } from "../fine-tuning/index.ts";

/** Files, jobs and their events as the wire says them: what is not there is empty or 0. */

export function fileMessage(file: FileRecord): File {
  const { id, filename, purpose, sizeBytes, createdAt, expiresAt, sha256 } = file;
  return { id, filename, purpose, sizeBytes, createdAtMs: createdAt, expiresAtMs: expiresAt ?? 0, sha256 };
}

const STATES: Readonly<Record<JobRecord["state"], JobState>> = {
  validating_files: JobState.JOB_STATE_VALIDATING_FILES,
  queued: JobState.JOB_STATE_QUEUED,
  running: JobState.JOB_STATE_RUNNING,
  paused: JobState.JOB_STATE_PAUSED,
  succeeded: JobState.JOB_STATE_SUCCEEDED,
  failed: JobState.JOB_STATE_FAILED,
  cancelled: JobState.JOB_STATE_CANCELLED,
};

export function jobMessage(view: CatalogView, job: JobRecord): Job {
  return {
    id: job.id,
    tenantId: job.tenantId,
    model: job.baseName,
    state: STATES[job.state],
    createdAtMs: job.createdAt,
    startedAtMs: job.startedAt ?? 0,
    finishedAtMs: job.finishedAt ?? 0,
    estimatedFinishMs: job.estimatedFinishAt ?? 0,
    trainingFile: job.trainingFile,
    validationFile: job.validationFile ?? "",
    resultFiles: job.resultFiles,
    wished: { ...job.wished },
    chosen: job.chosen && { ...job.chosen },
    reasons: { ...job.reasons },
    seed: String(job.seed),
    suffix: job.suffix,
    fineTunedModel: job.state === "succeeded" ? publishedName(view, job) : "",
    trainedTokens: job.trainedTokens,
    stepsDone: job.stepsDone,
    stepsTotal: job.stepsTotal,
    error: job.error && { ...job.error },
    metadata: { ...job.metadata },
    integrations: job.integrations.map((integration) => ({ ...integration })),
    auto: job.auto,
    classificationMetrics: job.classificationMetrics,
    baseDigest: job.baseDigest,
  };
}

/** Empty when it is not there, or was removed by its tenant. */
export function publishedName(view: CatalogView, { published }: JobRecord): string {
  const delta = published && view.get("delta", published);
  return delta ? deltaName(delta) : "";
}

const LEVELS: Readonly<Record<Level, EventLevel>> = {
  info: EventLevel.EVENT_LEVEL_INFO,
  warn: EventLevel.EVENT_LEVEL_WARN,
  error: EventLevel.EVENT_LEVEL_ERROR,
};

export function levelFromMessage(level: EventLevel): Level {
  return (Object.keys(LEVELS) as Level[]).find((name) => LEVELS[name] === level) ?? "info";
}

export function eventMessage(jobId: string, { position, at, level, message, metrics }: JobEvent): JobEventMessage {
  const id = eventId(jobId, position);
  return { id, position, createdAtMs: at, level: LEVELS[level], message, metrics: metrics && metricsMessage(metrics) };
}

/** `ftevent-<job>-<position>`: it says where the event stands. */
export function eventId(jobId: string, position: number): string {
  return `ftevent-${jobId.replace(/^ftjob-/, "")}-${position}`;
}

/** Each metric's name in the result file. What has another name is one of a classification. */
const METRICS = {
  trainLoss: "train_loss",
  trainMeanTokenAccuracy: "train_accuracy",
  validLoss: "valid_loss",
  validMeanTokenAccuracy: "valid_mean_token_accuracy",
  fullValidLoss: "full_valid_loss",
  fullValidMeanTokenAccuracy: "full_valid_mean_token_accuracy",
  learningRate: "learning_rate",
  gradientNorm: "gradient_norm",
} as const satisfies Partial<Record<keyof StepMetrics, string>>;
type MetricField = keyof typeof METRICS;
const COUNTS = { step: "step", trainedTokens: "trained_tokens", elapsedS: "elapsed_s" } as const;
const CLASSIFICATION = "classification/";

function metricsMessage(metrics: Readonly<Record<string, number>>): StepMetrics {
  const measured = (Object.keys(METRICS) as MetricField[]).flatMap((field) => {
    const value = metrics[METRICS[field]];
    return value === undefined ? [] : [[field, value] as const];
  });
  return {
    step: metrics[COUNTS.step] ?? 0,
    trainedTokens: metrics[COUNTS.trainedTokens] ?? 0,
    elapsedS: metrics[COUNTS.elapsedS] ?? 0,
    ...(Object.fromEntries(measured) as Partial<Record<MetricField, number>>),
    classification: Object.fromEntries(Object.entries(metrics).filter(([name]) => name.startsWith(CLASSIFICATION))),
  };
}

/** Numbers that JSON cannot say, as a loss sometimes is, are left out. */
export function metricsFromMessage(message: StepMetrics): Readonly<Record<string, number>> {
  const { step, trainedTokens, elapsedS, classification } = message;
  const named: [string, number | undefined][] = [
    [COUNTS.step, step],
    ...(Object.keys(METRICS) as MetricField[]).map((field): [string, number | undefined] => [METRICS[field], message[field]]),
    ...Object.entries(classification).filter(([name]) => name.startsWith(CLASSIFICATION)),
    [COUNTS.trainedTokens, trainedTokens],
    [COUNTS.elapsedS, elapsedS],
  ];
  return Object.fromEntries(named.filter((pair): pair is [string, number] => Number.isFinite(pair[1])));
}

export function checkpointMessage(view: CatalogView, job: JobRecord, checkpoint: JobRecord["checkpoints"][number]): Checkpoint {
  const delta = view.get("delta", checkpoint.delta);
  return {
    id: `ftckpt-${job.id.replace(/^ftjob-/, "")}-${checkpoint.step}`,
    step: checkpoint.step,
    createdAtMs: checkpoint.createdAt,
    model: delta ? deltaName(delta) : "",
    metrics: metricsMessage(checkpoint.metrics),
  };
}

/** Without the fields that are not set: records have no `undefined`. */
export function hyperparametersFromMessage(message: Hyperparameters): JobRecord["wished"] {
  return Object.fromEntries(Object.entries(message).filter(([, value]) => value !== undefined)) as unknown as JobRecord["wished"];
}
