import { createReadStream, createWriteStream } from "node:fs";
import { mkdir, stat } from "node:fs/promises";
import { dirname, join } from "node:path";
import { pipeline } from "node:stream/promises";
import { type Bytes, MIB, type Millis, SECOND } from "#kernel";
import {
  type Job,
  JobCommand,
  type JobWork,
  type LeaseJobResponse,
  type PublishDeltaRequest,
  type ReportJobRequest,
  type SaveCheckpointRequest,
  type StepMetrics,
  TrainingServiceService,
} from "#proto";
import type { Routers } from "./routers.ts";

/** A job that this trainer has. */
export interface HeldJob {
  readonly job: Job;
  readonly epoch: number;
  readonly leaseMs: Millis;
  readonly given: LeaseJobResponse;
}

/** The router keeps a trainer waiting for some seconds. */
const LEASE_MS_MAX: Millis = 20 * SECOND;
const REPORT_MS_MAX: Millis = 10 * SECOND;
/** A delta is read, checked and loaded by a node. */
const PUBLISH_MS_MAX: Millis = 120 * SECOND;
const PIECE_BYTES: Bytes = MIB;

/** The routers' desk for trainers, over the wire. Every call throws the router's fault; lease_lost means: forget the job. */
export class JobDesk {
  readonly #routers: Routers;
  readonly trainerId: string;

  constructor(routers: Routers, trainerId: string) {
    this.#routers = routers;
    this.trainerId = trainerId;
  }

  /** Undefined when there is no such work. */
  async lease(work: JobWork, bases: readonly string[], signal: AbortSignal): Promise<HeldJob | undefined> {
    const request = { trainerId: this.trainerId, work, bases: [...bases] };
    const call = { signal, timeoutMs: LEASE_MS_MAX };
    const given = await this.#routers.ask((router) => router.unary(TrainingServiceService.leaseJob, request, call));
    const { job, epoch, leaseMs } = given;
    return job && { job, epoch, leaseMs, given };
  }

  async report(report: Omit<ReportJobRequest, "trainerId">): Promise<JobCommand> {
    const request = { ...report, trainerId: this.trainerId };
    const call = { timeoutMs: REPORT_MS_MAX };
    const { command } = await this.#routers.ask((router) => router.unary(TrainingServiceService.reportJob, request, call));
    return command === JobCommand.JOB_COMMAND_UNSPECIFIED ? JobCommand.JOB_COMMAND_GO_ON : command;
  }

  async *readFile({ job, epoch }: HeldJob, fileId: string, signal: AbortSignal): AsyncGenerator<Uint8Array> {
    const request = { jobId: job.id, epoch, fileId };
    const file = this.#routers.read((router) => router.serverStream(TrainingServiceService.readTrainingFile, request, { signal }));
    for await (const { piece } of file) yield piece;
  }

  /** Gives the step. @throws ENOENT when the file is gone, as {@link publish} */
  async saveCheckpoint({ job, epoch }: HeldJob, step: number, file: string, signal: AbortSignal): Promise<number> {
    const { size: sizeBytes } = await stat(file);
    const parts = async function* (): AsyncGenerator<SaveCheckpointRequest> {
      yield { part: { $case: "lease", value: { jobId: job.id, epoch, step, sizeBytes } } };
      for await (const value of pieces(file)) yield { part: { $case: "piece", value } };
    };
    await this.#routers.ask((router) => router.clientStream(TrainingServiceService.saveCheckpoint, parts(), { signal }));
    return step;
  }

  async loadCheckpoint({ job, epoch }: HeldJob, file: string, signal: AbortSignal): Promise<void> {
    await mkdir(dirname(file), { recursive: true });
    const lease = { jobId: job.id, epoch, step: 0, sizeBytes: 0 };
    const checkpoint = this.#routers.read((router) => router.serverStream(TrainingServiceService.loadCheckpoint, { lease }, { signal }));
    await pipeline(async function* () {
      for await (const { piece } of checkpoint) yield piece;
    }, createWriteStream(file));
  }

  /** A PEFT folder: the end of the job, or with `checkpoint` one of its checkpoints. Gives the model's full name. */
  async publish({ job, epoch }: HeldJob, directory: string, checkpoint: StepMetrics | undefined, signal: AbortSignal): Promise<string> {
    const parts = async function* (): AsyncGenerator<PublishDeltaRequest> {
      const lease = { jobId: job.id, epoch, step: 0, sizeBytes: 0 };
      yield { part: { $case: "header", value: { lease, step: checkpoint?.step ?? 0, metrics: checkpoint } } };
      for await (const value of pieces(join(directory, "adapter_config.json"))) yield { part: { $case: "config", value } };
      for await (const value of pieces(join(directory, "adapter_model.safetensors"))) yield { part: { $case: "weights", value } };
    };
    const call = { signal, timeoutMs: PUBLISH_MS_MAX };
    return (await this.#routers.ask((router) => router.clientStream(TrainingServiceService.publishDelta, parts(), call))).model;
  }
}

function pieces(file: string): AsyncIterable<Buffer> {
  return createReadStream(file, { highWaterMark: PIECE_BYTES });
}
