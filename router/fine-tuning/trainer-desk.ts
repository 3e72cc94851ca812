import { type Bytes, type DeltaDigest, Fault, isFault, type Millis, type Snapshot } from "#kernel";
import type { DeltaPiece } from "../blobs/index.ts";
import { type DeltaRecord, deltaName, type FileRecord, isJobOver as isOver, type JobRecord } from "../catalog/index.ts";
import type { Principal } from "../contract.ts";
import { publishTrained, removeDelta } from "../models/index.ts";
import { fail, succeed } from "./job-ending.ts";
import type { JobNote } from "./job-events.ts";
import { LEASE_WAIT_MS, POLL_MS } from "./job-limits.ts";
import type { JobParts } from "./job-parts.ts";
import {
  checkEpoch,
  handedBack,
  isHeld,
  type JobWork,
  leased,
  leaseHolder,
  leaseLost,
  leaseName,
  offered,
  type Progress,
  progressed,
} from "./job-state.ts";

/** A job that a trainer was given. */
export interface LeasedJob {
  readonly job: JobRecord;
  readonly epoch: number;
  readonly leaseMs: Millis;
  /** Of the base, as the nodes know it. */
  readonly baseDirectory: string;
  readonly trainingFile: FileRecord | undefined;
  readonly validationFile: FileRecord | undefined;
}

/** What a trainer says of its job. */
export interface JobReport {
  readonly jobId: string;
  readonly trainerId: string;
  readonly epoch: number;
  /** Of the reports of a lease, from 1; the same again is the same report. */
  readonly sequence: number;
  readonly notes: readonly JobNote[];
  readonly progress: Omit<Progress, "leasedUntil">;
  readonly end: "none" | "handed_back" | "succeeded" | { readonly error: NonNullable<JobRecord["error"]> };
}

export type JobCommand = "go_on" | "pause" | "cancel";

/** Which job, and of which of its holders something comes. */
export interface JobHold {
  readonly jobId: string;
  readonly epoch: number;
}

/** Where trainers get their work and bring it back. What an earlier holder of a job still sends is refused by its epoch. */
export class TrainerDesk {
  readonly #parts: JobParts;

  constructor(parts: JobParts) {
    this.#parts = parts;
  }

  /** Waits a few seconds for work; undefined when there is none. `bases`: those whose folders the trainer has by itself. */
  async lease(trainerId: string, work: JobWork, bases: readonly string[], signal: AbortSignal): Promise<LeasedJob | undefined> {
    const { catalog, clock, models } = this.#parts;
    const until = clock.monotonic() + LEASE_WAIT_MS;
    for (;;) {
      for (const job of offered(catalog.view.all("job"), work, clock.now())) {
        if (catalog.view.get("tenant", job.tenantId)?.suspendedAt !== undefined) continue;
        const directory = models.names.bases.find(job.baseName)?.directory ?? "";
        if (directory === "" && !bases.includes(job.baseName)) continue;
        const given = await this.#give(job, trainerId, work, directory);
        if (given) return given;
      }
      if (clock.monotonic() >= until) return undefined;
      await clock.after(POLL_MS, signal);
    }
  }

  /** Idempotent by its sequence. @throws Fault lease_lost */
  async report(report: JobReport): Promise<JobCommand> {
    const { catalog, clock, events, limits } = this.#parts;
    const { jobId, trainerId, epoch, notes, progress, end } = report;
    const known = this.#job(jobId);
    if (isOver(known)) return "cancel";
    await this.#renew(known, trainerId, epoch);
    await events.append(jobId, notes, report);
    const leasedUntil = clock.now() + limits.leaseMs;
    const refusal = known.chosen ? undefined : await this.#reserve(known, progress);
    const job = await catalog.change("job", jobId, (old) => progressed(old, epoch, { ...progress, leasedUntil }));
    if (!job) throw leaseLost({ id: jobId });
    if (refusal) await fail(this.#parts, job, epoch, refusal);
    else if (end === "handed_back") await this.#handBack(job, trainerId, epoch);
    else if (end === "succeeded") await this.#succeed(job, epoch);
    else if (end !== "none") await fail(this.#parts, job, epoch, end.error);
    const after = this.#job(jobId);
    if (isOver(after)) return end === "none" ? "cancel" : "go_on";
    return after.state === "paused" ? "pause" : "go_on";
  }

  /** A file that the job was created with. @throws Fault lease_lost, resource_unknown, checksum_mismatch */
  async *readFile(hold: JobHold, fileId: string, signal: AbortSignal): AsyncGenerator<Uint8Array> {
    const job = this.#held(hold);
    const file = this.#file(job, fileId);
    if (!file || (fileId !== job.trainingFile && fileId !== job.validationFile))
      throw new Fault("resource_unknown", `the file ${fileId} is not there any more, or none of the job's`, {
        detail: { resource: fileId },
      });
    yield* this.#parts.files.read(file, signal);
  }

  /** @throws Fault lease_lost, message_too_large, message_malformed when it was cut off */
  async saveCheckpoint(hold: JobHold, step: number, sizeBytes: Bytes, pieces: AsyncIterable<Uint8Array>): Promise<void> {
    this.#held(hold);
    await this.#parts.checkpointBytes.save(hold.jobId, pieces, async (savedBytes) => {
      if (savedBytes !== sizeBytes) throw new Fault("message_malformed", `the checkpoint has ${savedBytes} of ${sizeBytes} bytes`);
      const { lease } = this.#held(hold);
      await this.#renew(this.#job(hold.jobId), lease!.trainerId, hold.epoch);
    });
    await this.#parts.catalog.change("job", hold.jobId, (old) => {
      checkEpoch(old, hold.epoch);
      return { ...old, checkpointStep: isOver(old) ? 0 : step };
    });
  }

  /** @throws Fault lease_lost, resource_unknown */
  loadCheckpoint(hold: JobHold, signal: AbortSignal): AsyncGenerator<Buffer> {
    this.#held(hold);
    return this.#parts.checkpointBytes.load(hold.jobId, signal);
  }

  /**
   * Registers a delta under the job's name, and waits until a node holds it: its first request is served at once. With
   * `checkpoint` it is one of the job's checkpoints. The same content again is the same delta.
   *
   * @throws Fault lease_lost; what a node says of a delta that does not fit
   */
  async publish(
    hold: JobHold,
    pieces: AsyncIterable<DeltaPiece>,
    checkpoint: { readonly step: number; readonly metrics: Readonly<Record<string, number>> } | undefined,
    signal: AbortSignal,
  ): Promise<DeltaRecord> {
    const { models, publishing, clock } = this.#parts;
    const job = this.#held(hold);
    const base = models.names.bases.find(job.baseName);
    if (base?.digest !== job.baseDigest) throw new Fault("no_ready_node", `no node serves the base ${job.baseName} as the job knows it`);
    const publication = { tenantId: job.tenantId, base, name: job.suffix, ...(checkpoint && { checkpointStep: checkpoint.step }) };
    const delta = await publishTrained(models, publishing, publication, pieces, signal);
    const createdAt = clock.now();
    const changed = await this.#parts.catalog.change("job", job.id, (old) => {
      checkEpoch(old, hold.epoch);
      if (!checkpoint) return { ...old, published: delta.digest };
      const others = old.checkpoints.filter(({ step }) => step !== checkpoint.step);
      return { ...old, checkpoints: [...others, { ...checkpoint, createdAt, delta: delta.digest }] };
    });
    if (changed) await this.#pruneCheckpoints(changed, models.snapshot());
    return delta;
  }

  async #give(job: JobRecord, trainerId: string, work: JobWork, baseDirectory: string): Promise<LeasedJob | undefined> {
    const { leases, limits, clock, catalog, events } = this.#parts;
    const [name, holder] = [leaseName(job, work), leaseHolder(job, trainerId)];
    const lease = await leases.acquire(name, holder, limits.leaseMs);
    if (lease.kind === "taken") return undefined;
    const until = clock.now() + limits.leaseMs;
    let given: JobRecord | undefined;
    try {
      given = await catalog.change("job", job.id, (old) => {
        if (isHeld(old, clock.now()) && old.lease!.trainerId !== trainerId) throw leaseLost(old);
        return leased(old, { trainerId, storeEpoch: lease.epoch, work, until }, clock.now());
      });
    } catch (error) {
      await leases.release(name, holder);
      if (isFault(error, "lease_lost") || isFault(error, "version_conflict")) return undefined; // Somebody was faster.
      throw error;
    }
    if (!given) return undefined;
    if (work === "train") await events.append(job.id, [{ level: "info", message: startMessage(job) }]);
    const validationFile = given.validationFile === undefined ? undefined : this.#file(given, given.validationFile);
    return {
      job: given,
      epoch: given.lease!.epoch,
      leaseMs: limits.leaseMs,
      baseDirectory,
      trainingFile: this.#file(given, given.trainingFile),
      validationFile,
    };
  }

  /** Says to the store that the holder is alive. @throws Fault lease_lost */
  async #renew(job: JobRecord, trainerId: string, epoch: number): Promise<void> {
    checkEpoch(job, epoch);
    const { leases, limits } = this.#parts;
    const [name, holder] = [leaseName(job, job.lease!.work), leaseHolder(job, trainerId)];
    const lease = await leases.acquire(name, holder, limits.leaseMs);
    if (lease.kind === "held" && lease.epoch === job.lease!.storeEpoch) return;
    if (lease.kind === "held") await leases.release(name, holder); // It had run out: whoever takes it goes on from the checkpoint.
    throw leaseLost(job);
  }

  /** Once it is known what the training comes to: whether it is within limits and paid for. */
  async #reserve(job: JobRecord, { plannedTokens, chosen, stepsTotal }: JobReport["progress"]): Promise<JobRecord["error"]> {
    if (!chosen || plannedTokens === undefined) return undefined;
    const { stepsMax, plannedTokensMax } = this.#parts.limits;
    const large = (what: string) => ({ code: "parameter_invalid", message: what, field: "hyperparameters.epochs" });
    if (stepsTotal > stepsMax)
      return large(`the training has ${stepsTotal} steps; ${stepsMax} are allowed: fewer epochs, or larger batches`);
    if (plannedTokens > plannedTokensMax) return large(`the training has ${plannedTokens} tokens; ${plannedTokensMax} are allowed`);
    try {
      await this.#parts.money.hold(job, plannedTokens);
      return undefined;
    } catch (error) {
      if (!isFault(error, "budget_spent")) throw error;
      return { code: error.reason, message: error.message, field: "" };
    }
  }

  async #handBack(job: JobRecord, trainerId: string, epoch: number): Promise<void> {
    await this.#parts.catalog.change("job", job.id, (old) => handedBack(old, epoch));
    await this.#parts.leases.release(leaseName(job, job.lease!.work), leaseHolder(job, trainerId));
  }

  async #succeed(job: JobRecord, epoch: number): Promise<void> {
    if (job.published === undefined)
      throw new Fault("message_malformed", "a job succeeds with a published delta", { detail: { field: "end" } });
    await succeed(this.#parts, job, epoch);
  }

  /** A customer may have pointed an alias at one: then it stays. */
  async #pruneCheckpoints(job: JobRecord, snapshot: Snapshot): Promise<void> {
    const old = job.checkpoints.slice(0, Math.max(0, job.checkpoints.length - this.#parts.limits.checkpointsMax));
    if (old.length === 0) return;
    const gone = new Set<DeltaDigest>();
    const owner: Principal = { keyId: job.keyId, tenantId: job.tenantId, projectId: job.projectId, scopes: new Set(["train"]) };
    for (const { delta: digest } of old) {
      const delta = this.#parts.catalog.view.get("delta", digest);
      try {
        if (delta && digest !== job.published) await removeDelta(this.#parts.models, owner, deltaName(delta), snapshot);
      } catch (error) {
        if (!isFault(error, "resource_in_use")) throw error;
      }
      gone.add(digest);
    }
    await this.#parts.catalog.change("job", job.id, (last) => ({
      ...last,
      checkpoints: last.checkpoints.filter(({ delta }) => !gone.has(delta)),
    }));
  }

  #file(job: JobRecord, id: string): FileRecord | undefined {
    return this.#parts.catalog.view.own("file", job.tenantId, id);
  }

  #held({ jobId, epoch }: JobHold): JobRecord {
    const job = this.#job(jobId);
    checkEpoch(job, epoch);
    if (isOver(job)) throw leaseLost(job);
    return job;
  }

  #job(id: string): JobRecord {
    const job = this.#parts.catalog.view.get("job", id);
    if (!job) throw leaseLost({ id });
    return job;
  }
}

function startMessage(job: JobRecord): string {
  if (job.startedAt === undefined) return "Fine-tuning job started";
  return job.checkpointStep > 0
    ? `Fine-tuning goes on from step ${job.checkpointStep}`
    : "Fine-tuning begins again: there is no checkpoint yet";
}
