import { Fault, type Millis } from "#kernel";
import { isJobOver as isOver, type JobRecord } from "../catalog/index.ts";

/**
 * The states of a job and what leads from one to the other, as functions of records.
 *
 * validating_files → queued ⇄ running → succeeded; queued, running ⇄ paused; from all of these → failed, cancelled.
 */

export type JobState = JobRecord["state"];
/** What a trainer does with a job: check its files, or train. */
export type JobWork = NonNullable<JobRecord["lease"]>["work"];

/** Whether a trainer may still be at it. */
export function isHeld({ lease }: JobRecord, now: Millis): boolean {
  return lease !== undefined && lease.until > now;
}

/** The name of the store's lease: of one tenant one job trains at a time, and any number of them is checked. */
export function leaseName(job: Pick<JobRecord, "id" | "tenantId">, work: JobWork): string {
  return work === "train" ? `fine-tuning/train/${job.tenantId}` : `fine-tuning/validate/${job.id}`;
}

export function leaseHolder(job: Pick<JobRecord, "id">, trainerId: string): string {
  return `${trainerId} ${job.id}`;
}

/** Whether the work that a trainer asks for is what the job needs. */
export function needs(job: JobRecord, work: JobWork): boolean {
  return work === "validate" ? job.state === "validating_files" : job.state === "queued" || job.state === "running";
}

/** The job with its next holder. @throws Fault lease_lost when it needs something else by now */
export function leased(job: JobRecord, holder: Omit<NonNullable<JobRecord["lease"]>, "epoch">, now: Millis): JobRecord {
  if (!needs(job, holder.work)) throw leaseLost(job);
  const lease = { ...holder, epoch: (job.lease?.epoch ?? 0) + 1 };
  if (lease.work === "validate") return { ...job, lease };
  return { ...job, state: "running", startedAt: job.startedAt ?? now, lease };
}

/** Sums and choices of a report. Counts only grow, so that a report may come twice, or late. */
export interface Progress {
  readonly chosen?: JobRecord["wished"];
  readonly reasons?: JobRecord["reasons"];
  readonly plannedTokens?: number;
  readonly stepsDone: number;
  readonly stepsTotal: number;
  readonly trainedTokens: number;
  readonly estimatedFinishAt?: Millis;
  readonly leasedUntil: Millis;
}

/** @throws Fault lease_lost for a report of an earlier holder */
export function progressed(job: JobRecord, epoch: number, progress: Progress): JobRecord {
  checkEpoch(job, epoch);
  if (isOver(job)) return job;
  const { chosen, reasons, plannedTokens, estimatedFinishAt } = progress;
  return {
    ...job,
    // It was resumed before its trainer heard of the pause: then it just goes on.
    state: job.state === "queued" && job.lease!.work === "train" ? "running" : job.state,
    ...(chosen && { chosen }),
    ...(reasons && { reasons }),
    ...(plannedTokens !== undefined && { plannedTokens }),
    ...(estimatedFinishAt !== undefined && { estimatedFinishAt }),
    stepsDone: Math.max(job.stepsDone, progress.stepsDone),
    stepsTotal: Math.max(job.stepsTotal, progress.stepsTotal),
    trainedTokens: Math.max(job.trainedTokens, progress.trainedTokens),
    lease: { ...job.lease!, until: progress.leasedUntil },
  };
}

/** The trainer has let go of it: after validation, when it stops itself, or since it was told to pause. */
export function handedBack(job: JobRecord, epoch: number): JobRecord {
  checkEpoch(job, epoch);
  if (isOver(job)) return job;
  const state = job.state === "paused" ? "paused" : job.chosen ? "queued" : "validating_files";
  return { ...job, state, lease: { ...job.lease!, until: 0 } };
}

/** @throws Fault job_not_running when it is over */
export function cancelled(job: JobRecord, now: Millis): JobRecord {
  if (isOver(job)) throw notNow(job, "cancelled");
  return ended(job, "cancelled", now);
}

/** @throws Fault job_not_running unless it is queued or running */
export function paused(job: JobRecord): JobRecord {
  if (job.state !== "queued" && job.state !== "running") throw notNow(job, "paused");
  return { ...job, state: "paused" };
}

/** @throws Fault job_not_running unless it is paused */
export function resumed(job: JobRecord): JobRecord {
  if (job.state !== "paused") throw notNow(job, "resumed");
  return { ...job, state: "queued" };
}

export function ended(job: JobRecord, state: "succeeded" | "failed" | "cancelled", now: Millis): JobRecord {
  const { estimatedFinishAt: _, ...rest } = job;
  return { ...rest, state, finishedAt: now, checkpointStep: 0, ...(job.lease && { lease: { ...job.lease, until: 0 } }) };
}

/** @throws Fault lease_lost */
export function checkEpoch(job: JobRecord, epoch: number): void {
  if (job.lease?.epoch !== epoch) throw leaseLost(job);
}

export function leaseLost({ id }: Pick<JobRecord, "id">): Fault<"lease_lost"> {
  return new Fault("lease_lost", `the lease on ${id} is lost: its job belongs to somebody else, or to nobody`, {
    detail: { resource: id },
  });
}

function notNow({ id, state }: JobRecord, wish: string): Fault<"job_not_running"> {
  return new Fault("job_not_running", `the job ${id} is ${state} and cannot be ${wish}`, { detail: { resource: id } });
}

/**
 * In which order jobs are offered to a trainer: the tenants that were served longest ago first, of each its oldest, one
 * that was begun before one that was not. Tenants whose job is being trained wait.
 */
export function offered(jobs: Iterable<JobRecord>, work: JobWork, now: Millis): readonly JobRecord[] {
  const byTenant = Map.groupBy(jobs, ({ tenantId }) => tenantId);
  const offers: { readonly job: JobRecord; readonly servedAt: Millis }[] = [];
  for (const own of byTenant.values()) {
    const open = own.filter((job) => needs(job, work) && !isHeld(job, now)).sort(byTurn);
    if (work === "validate") offers.push(...open.map((job) => ({ job, servedAt: job.createdAt })));
    else if (open[0] && !own.some((job) => job.state === "running" && isHeld(job, now)))
      offers.push({ job: open[0], servedAt: Math.max(0, ...own.map(({ startedAt = 0 }) => startedAt)) });
  }
  return offers.sort((one, other) => one.servedAt - other.servedAt || byTurn(one.job, other.job)).map(({ job }) => job);
}

function byTurn(one: JobRecord, other: JobRecord): number {
  const begun = (job: JobRecord) => (job.state === "running" ? 0 : 1);
  return begun(one) - begun(other) || one.createdAt - other.createdAt || (one.id < other.id ? -1 : 1);
}
