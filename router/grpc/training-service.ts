import { Fault } from "#kernel";
import {
  JobCommand as CommandMessage,
  JobState,
  JobWork,
  type PublishDeltaRequest,
  type ReportJobRequest,
  type SaveCheckpointRequest,
  type TrainingServiceService,
} from "#proto";
import type { DeltaPiece } from "../blobs/index.ts";
import { deltaName } from "../catalog/index.ts";
import type { JobCommand, JobHold, JobReport } from "../fine-tuning/index.ts";
import {
  fileMessage,
  hyperparametersFromMessage,
  jobMessage,
  levelFromMessage,
  metricsFromMessage,
  publishedName,
} from "./fine-tuning-messages.ts";
import type { FineTuningServiceDeps } from "./fine-tuning-service.ts";
import type { GuardedHandlers } from "./guard.ts";

/** Of one report: a second of a small model's steps, and some that waited for the router. */
const EVENTS_MAX = 2_000;
const MESSAGE_CHARACTERS_MAX = 4_000;

const COMMANDS: Readonly<Record<JobCommand, CommandMessage>> = {
  go_on: CommandMessage.JOB_COMMAND_GO_ON,
  pause: CommandMessage.JOB_COMMAND_PAUSE,
  cancel: CommandMessage.JOB_COMMAND_CANCEL,
};

export function trainingHandlers({ catalog, fineTuning }: FineTuningServiceDeps): GuardedHandlers<typeof TrainingServiceService> {
  const { desk } = fineTuning;
  const { view } = catalog;
  return {
    async leaseJob({ trainerId, work, bases }, { signal }) {
      checkTrainer(trainerId);
      if (work !== JobWork.JOB_WORK_TRAIN && work !== JobWork.JOB_WORK_VALIDATE) throw malformed("work", "work is missing");
      const given = await desk.lease(trainerId, work === JobWork.JOB_WORK_TRAIN ? "train" : "validate", bases, signal);
      const none = { job: undefined, epoch: 0, leaseMs: 0, baseDirectory: "", checkpoint: false, published: "" };
      if (!given) return { ...none, trainingFile: undefined, validationFile: undefined };
      const { job, epoch, leaseMs, baseDirectory, trainingFile, validationFile } = given;
      return {
        ...{ job: jobMessage(view, job), epoch, leaseMs, baseDirectory },
        ...{ checkpoint: job.checkpointStep > 0, published: publishedName(view, job) },
        trainingFile: trainingFile && fileMessage(trainingFile),
        validationFile: validationFile && fileMessage(validationFile),
      };
    },

    reportJob: async (request) => ({ command: COMMANDS[await desk.report(reportOf(request))] }),

    async *readTrainingFile({ jobId, epoch, fileId }, { signal }) {
      for await (const piece of desk.readFile({ jobId, epoch }, fileId, signal))
        yield { piece: Buffer.from(piece.buffer, piece.byteOffset, piece.byteLength) };
    },

    async saveCheckpoint(requests) {
      const upload = requests[Symbol.asyncIterator]();
      const first = await upload.next();
      const part = first.done ? undefined : first.value.part;
      if (part?.$case !== "lease") throw malformed("lease", "a checkpoint begins with its lease");
      const { step, sizeBytes } = part.value;
      await desk.saveCheckpoint(part.value, step, sizeBytes, checkpointPieces(upload));
      return { command: CommandMessage.JOB_COMMAND_GO_ON };
    },

    async *loadCheckpoint({ lease }, { signal }) {
      for await (const piece of desk.loadCheckpoint(holdOf(lease), signal)) yield { piece };
    },

    async publishDelta(requests, { signal }) {
      const upload = requests[Symbol.asyncIterator]();
      const first = await upload.next();
      const part = first.done ? undefined : first.value.part;
      if (part?.$case !== "header") throw malformed("header", "an upload begins with its header");
      const { lease, step, metrics } = part.value;
      const checkpoint = step === 0 ? undefined : { step, metrics: metrics ? metricsFromMessage(metrics) : {} };
      const delta = await desk.publish(holdOf(lease), deltaPieces(upload), checkpoint, signal);
      const { digest, tenantId, baseDigest } = delta;
      return { model: deltaName(delta), delta: { digest, tenantId, baseDigest } };
    },
  };
}

function reportOf(request: ReportJobRequest): JobReport {
  const { jobId, trainerId, epoch, sequence, events, chosen, reasons, plannedTokens, estimatedFinishMs } = request;
  checkTrainer(trainerId);
  if (events.length > EVENTS_MAX) throw malformed("events", `a report has at most ${EVENTS_MAX} events`);
  return {
    ...{ jobId, trainerId, epoch, sequence },
    notes: events.map(({ level, message, metrics }) => ({
      ...{ level: levelFromMessage(level), message: message.slice(0, MESSAGE_CHARACTERS_MAX) },
      ...(metrics && { metrics: metricsFromMessage(metrics) }),
    })),
    progress: {
      ...(chosen && { chosen: hyperparametersFromMessage(chosen), reasons, plannedTokens }),
      ...(estimatedFinishMs !== 0 && { estimatedFinishAt: estimatedFinishMs }),
      ...{ stepsDone: request.stepsDone, stepsTotal: request.stepsTotal, trainedTokens: request.trainedTokens },
    },
    end: endOf(request),
  };
}

function endOf({ end, error }: ReportJobRequest): JobReport["end"] {
  switch (end) {
    case JobState.JOB_STATE_UNSPECIFIED:
      return "none";
    case JobState.JOB_STATE_QUEUED:
    case JobState.JOB_STATE_PAUSED:
      return "handed_back";
    case JobState.JOB_STATE_SUCCEEDED:
      return "succeeded";
    case JobState.JOB_STATE_FAILED: {
      const { code = "bug", message = "", field = "" } = error ?? {};
      return { error: { code, message: message.slice(0, MESSAGE_CHARACTERS_MAX), field } };
    }
    default:
      throw malformed("end", "end is none of queued, paused, succeeded and failed");
  }
}

async function* checkpointPieces(upload: AsyncIterator<SaveCheckpointRequest>): AsyncGenerator<Uint8Array> {
  for (let next = await upload.next(); !next.done; next = await upload.next()) {
    if (next.value.part?.$case !== "piece") throw malformed("part", "after its lease a checkpoint holds pieces only");
    yield next.value.part.value;
  }
}

async function* deltaPieces(upload: AsyncIterator<PublishDeltaRequest>): AsyncGenerator<DeltaPiece> {
  for (let next = await upload.next(); !next.done; next = await upload.next()) {
    const part = next.value.part;
    if (part?.$case !== "config" && part?.$case !== "weights")
      throw malformed("part", "after its header an upload holds config and weights only");
    yield { file: part.$case, bytes: part.value };
  }
}

function holdOf(lease: JobHold | undefined): JobHold {
  if (!lease) throw malformed("lease", "lease is missing");
  return lease;
}

function checkTrainer(trainerId: string): void {
  if (!/^[\w.:-]{1,128}$/.test(trainerId))
    throw malformed("trainer_id", "trainer_id has 1 to 128 letters, digits, dots, colons and dashes");
}

function malformed(field: string, message: string): Fault<"message_malformed"> {
  return new Fault("message_malformed", message, { detail: { field } });
}
