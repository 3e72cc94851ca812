import { rm } from "node:fs/promises";
import { parse } from "csv-parse/sync";
import { type Bytes, Fault, MIB, type Millis, type Random } from "#kernel";
import type { JsonFields, TrackedRun } from "../contract.ts";
import { retryDelayMs } from "../retry-delay.ts";
import type { ServiceDeps } from "../service-client.ts";
import { sinkFault } from "../sink-fault.ts";
import { uploadArtifact } from "./artifact-upload.ts";
import { detailsArtifact, fileArtifacts } from "./artifacts.ts";
import { FileStream } from "./file-stream.ts";
import { createWandbClient } from "./graphql.ts";
import { OfflineFile, offlineRunFolder } from "./offline-file.ts";
import { exitRecord, headerRecord, historyRecord, runRecord, summaryRecord } from "./offline-records.ts";
import { remoteStatus, upsertRun } from "./remote-run.ts";
import { runTarget, type WandbSettings } from "./settings.ts";

/** A job as `wandb sync` finds it. */
export interface SyncableJob {
  readonly run: TrackedRun;
  /** As the job says: only `succeeded` ones are synced. */
  readonly status: string;
  readonly finishedAtMs: Millis;
  readonly fineTunedModel: string;
  /** The text of its result file. */
  results(): Promise<string>;
}

export interface SyncOptions {
  /** Only this job. */
  readonly id?: string;
  /** Only the first so many jobs of the source: the newest. */
  readonly count?: number;
  /** Instead of what the jobs say and what is configured. */
  readonly project?: string;
  readonly entity?: string;
  /** Also what was synced before. */
  readonly force?: boolean;
  /** Into offline run folders below this directory instead of over HTTP. */
  readonly offlineDirectory?: string;
}

/** What became of one job. `where` is the run's page, or its folder. */
export type SyncedRun =
  | { readonly id: string; readonly result: "synced"; readonly where: string }
  | { readonly id: string; readonly result: "skipped"; readonly why: string }
  | { readonly id: string; readonly result: "failed"; readonly fault: Fault };

const ATTEMPTS_MAX = 4;
/** A row for each of a million steps. */
const RESULTS_BYTES_MAX: Bytes = 64 * MIB;

/**
 * What `deltaplane wandb sync` does: brings finished jobs to W&B as `openai wandb sync` did. One run per succeeded job, id = job
 * id; a row per row of its result file; `train-…`, `valid-…` and `fine_tune_details` as artifacts; `fine_tuned_model` and
 * `status` in the summary, last, so that what was interrupted is synced again. `jobs` come newest first; one at a time is
 * held. A job that fails does not keep the others away. Live tracked runs that ended well count as synced.
 * @throws the signal's reason
 */
export async function* syncRuns(
  deps: ServiceDeps & { readonly random: Random },
  settings: WandbSettings,
  jobs: AsyncIterable<SyncableJob>,
  options: SyncOptions,
  signal: AbortSignal,
): AsyncGenerator<SyncedRun> {
  let seen = 0;
  for await (const job of jobs) {
    if (options.id !== undefined && job.run.id !== options.id) continue;
    yield await syncPatiently(deps, settings, withTarget(job, options), options, signal);
    seen += 1;
    if (seen === options.count || options.id !== undefined) return;
  }
}

function withTarget(job: SyncableJob, { project, entity }: SyncOptions): SyncableJob {
  return {
    ...job,
    run: { ...job.run, ...(project !== undefined && { project }), ...(entity !== undefined && { entity }) },
    results: () => job.results(),
  };
}

async function syncPatiently(
  deps: ServiceDeps & { readonly random: Random },
  settings: WandbSettings,
  job: SyncableJob,
  options: SyncOptions,
  signal: AbortSignal,
): Promise<SyncedRun> {
  const { id } = job.run;
  if (job.status !== "succeeded") return { id, result: "skipped", why: `its status is ${job.status}` };
  for (let failures = 1; ; failures++) {
    try {
      const force = options.force ?? false;
      return await (options.offlineDirectory === undefined
        ? syncOnline(deps, settings, job, force, signal)
        : syncOffline(settings, job, force, options.offlineDirectory));
    } catch (error) {
      signal.throwIfAborted();
      const fault = sinkFault(error);
      const waitMs = retryDelayMs(fault, failures, deps.random);
      if (waitMs === undefined || failures === ATTEMPTS_MAX) return { id, result: "failed", fault };
      await deps.clock.after(waitMs, signal);
    }
  }
}

async function syncOnline(
  deps: ServiceDeps,
  settings: WandbSettings,
  job: SyncableJob,
  force: boolean,
  signal: AbortSignal,
): Promise<SyncedRun> {
  const { run } = job;
  const client = createWandbClient(deps, settings);
  const held = await remoteStatus(client, { ...runTarget(settings, run), id: run.id }, signal);
  if (held?.summary["status"] === "succeeded" && !force) return alreadySynced(run.id);
  const rows = historyRows(await job.results());
  const remote = await upsertRun(client, settings, run, signal);
  const stream = new FileStream(client, remote, 0);
  await stream.append(
    rows.map((row) => JSON.stringify(row)),
    (count) => Object.assign({}, ...rows.slice(Math.max(0, count - 1), count)),
    signal,
  );
  for (const artifact of [...fileArtifacts(run), detailsArtifact(run)]) await uploadArtifact(client, run, remote, artifact, signal);
  await stream.complete(summaryOf(job, rows), 0, signal);
  return { id: run.id, result: "synced", where: remote.url };
}

async function syncOffline(settings: WandbSettings, job: SyncableJob, force: boolean, root: string): Promise<SyncedRun> {
  const { run } = job;
  const existing = await offlineRunFolder(root, run.id);
  if (existing !== undefined) {
    const held = await OfflineFile.open(root, run);
    if (held.hasExit && !force) return alreadySynced(run.id);
    await rm(existing, { recursive: true });
  }
  const rows = historyRows(await job.results());
  const where = runTarget(settings, run);
  const file = await OfflineFile.open(root, run);
  await file.append([headerRecord(), runRecord(run, where), ...rows.map(historyRecord)]);
  for (const artifact of [...fileArtifacts(run), detailsArtifact(run)]) {
    const leftOut = await file.keep(run, where, artifact);
    if (leftOut !== undefined) throw new Fault("tracker_refused", leftOut);
  }
  await file.append([summaryRecord(summaryOf(job, rows)), exitRecord(0, (job.finishedAtMs - run.startedAtMs) / 1000)]);
  return { id: run.id, result: "synced", where: file.directory };
}

function alreadySynced(id: string): SyncedRun {
  return { id, result: "skipped", why: "it was synced before; --force does it again" };
}

/** One row of the history per row of the result file: the cells that hold a number. @throws Fault file_malformed */
function historyRows(results: string): readonly JsonFields[] {
  if (results.length > RESULTS_BYTES_MAX) throw new Fault("file_malformed", `a result file of ${results.length} bytes is too large`);
  const records: Record<string, string>[] = parse(results, { columns: true, skip_empty_lines: true, relax_column_count: false });
  return records.map(({ step, ...cells }, index) => {
    if (!/^\d+$/.test(step ?? "")) throw new Fault("file_malformed", `line ${index + 2} of the result file has no step`);
    const numbers = Object.entries(cells).filter(([, cell]) => cell !== "" && Number.isFinite(Number(cell)));
    return { ...Object.fromEntries(numbers.map(([name, cell]) => [name, Number(cell)])), _step: Number(step) };
  });
}

function summaryOf(job: SyncableJob, rows: readonly JsonFields[]): JsonFields {
  return { ...Object.assign({}, ...rows), fine_tuned_model: job.fineTunedModel, status: "succeeded" };
}
