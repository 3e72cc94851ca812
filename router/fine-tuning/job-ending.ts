import { isFault } from "#kernel";
import { deltaName, type FileRecord, isJobOver as isOver, type JobRecord } from "../catalog/index.ts";
import type { JobNote } from "./job-events.ts";
import type { JobParts } from "./job-parts.ts";
import { cancelled, checkEpoch, ended, leaseHolder, leaseName } from "./job-state.ts";
import { keepResults } from "./results-file.ts";

/**
 * The ways in which a job ends. Each says first what it costs, durably, and only then that it is over: whatever crashes in
 * between, it is said again, and the ledger counts it once.
 */

/** @throws Fault job_not_running when it is over */
export async function cancelJob(parts: JobParts, job: JobRecord): Promise<JobRecord> {
  const { clock, catalog } = parts;
  cancelled(job, clock.now()); // Refused before anything is charged.
  const results = await resultsOf(parts, job);
  await parts.money.charge(job, "cancelled");
  const over = await catalog.change("job", job.id, (old) => ({ ...cancelled(old, clock.now()), ...results }));
  await leave(parts, over ?? job, { level: "info", message: "The job was cancelled; what was trained is charged" });
  return over ?? job;
}

/** What it has published becomes its model. Idempotent. @throws Fault lease_lost */
export async function succeed(parts: JobParts, job: JobRecord, epoch: number): Promise<JobRecord> {
  if (isOver(job)) return job;
  checkEpoch(job, epoch);
  const delta = parts.catalog.view.get("delta", job.published!);
  const model = delta ? deltaName(delta) : "a model that was removed meanwhile";
  const results = await resultsOf(parts, job);
  await parts.money.charge(job, "completed");
  const over = await parts.catalog.change("job", job.id, (old) => {
    if (isOver(old)) return old;
    checkEpoch(old, epoch);
    return { ...ended(old, "succeeded", parts.clock.now()), ...results };
  });
  if (over?.state === "succeeded") await leave(parts, over, { level: "info", message: `New fine-tuned model created: ${model}` });
  return over ?? job;
}

/** Nothing is charged. Idempotent. @throws Fault lease_lost */
export async function fail(parts: JobParts, job: JobRecord, epoch: number, error: NonNullable<JobRecord["error"]>): Promise<JobRecord> {
  if (isOver(job)) return job;
  checkEpoch(job, epoch);
  const results = await resultsOf(parts, job);
  await parts.money.charge(job, "failed");
  const over = await parts.catalog.change("job", job.id, (old) => {
    if (isOver(old)) return old;
    checkEpoch(old, epoch);
    return { ...ended(old, "failed", parts.clock.now()), ...results, error };
  });
  if (over?.state === "failed") await leave(parts, over, { level: "error", message: `The job failed: ${error.message}` });
  return over ?? job;
}

/** The result file, if there is anything to be in it and room for it. */
async function resultsOf(parts: JobParts, job: JobRecord): Promise<Pick<JobRecord, "resultFiles">> {
  let file: FileRecord | undefined;
  try {
    file = await keepResults(parts, job);
  } catch (error) {
    if (!isFault(error, "rate_exceeded") && !isFault(error, "message_too_large")) throw error;
    await parts.events.append(job.id, [{ level: "warn", message: `There is no result file: ${error.message}` }]);
  }
  return { resultFiles: file ? [file.id] : [] };
}

/** What a job that is over needs no more. */
async function leave(parts: JobParts, job: JobRecord, note: JobNote): Promise<void> {
  await parts.events.append(job.id, [note]);
  await parts.checkpointBytes.remove(job.id);
  const { lease } = job;
  if (lease) await parts.leases.release(leaseName(job, lease.work), leaseHolder(job, lease.trainerId));
}
