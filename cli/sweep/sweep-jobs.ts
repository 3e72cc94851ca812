import { isFault } from "#kernel";
import { CreateJobRequest, FineTuningServiceService, type Job, JobState, type StepMetrics } from "#proto";
import { chooseHyperparameters } from "#trainer";
import type { Connection } from "../connection.ts";
import { jobEvents } from "../job-events.ts";
import { printMessage } from "../output.ts";
import { trainingFile } from "../training-file.ts";
import { type Cell, cellName } from "./cells.ts";
import type { SubsetFiles } from "./subset-files.ts";

export interface Sweep {
  readonly files: SubsetFiles;
  readonly cells: readonly Cell[];
  /** Of every job: what differs is then the examples and the setting. */
  readonly seed: number;
  /** Empty for the key's own. */
  readonly tenantId: string;
}

/** A cell whose job is over. */
export interface TrainedCell {
  readonly cell: Cell;
  readonly job: Job;
  /** Of the last step that was validated; undefined when none was. */
  readonly metrics: StepMetrics | undefined;
}

/** So many jobs wait or train at a time, below the 20 that a tenant may have: what is started ends also without us. */
const JOBS_AHEAD = 16;
/** A crash loses no more, whatever the validations are spared. */
const CHECKPOINT_STEPS_MAX = 50;
const PAGE = 100;

/**
 * Trains every cell as an ordinary job, and gives them in order as they end. A cell that has a job already, of an earlier
 * call, is not trained again, unless that failed or was cancelled. Ctrl-C leaves the jobs running.
 *
 * @throws Fault those of uploading files and creating jobs
 */
export async function* trainCells(connection: Connection, sweep: Sweep): AsyncGenerator<TrainedCell> {
  const { cells } = sweep;
  const known = await knownJobs(connection, sweep);
  const fileId = uploads(connection, sweep.tenantId);
  const jobOf = async (cell: Cell) => known.get(cellName(cell)) ?? (await createJob(connection, sweep, cell, fileId));
  const jobs: Job[] = [];
  const there = cells.filter((cell) => known.has(cellName(cell))).length;
  if (there > 0) printMessage(`${there} of ${cells.length} jobs are there already`);
  try {
    for (const [index, cell] of cells.entries()) {
      await createAhead(sweep, jobs, index, jobOf);
      yield { cell, ...(await ended(connection, jobs[index]!.id)) };
    }
  } catch (error) {
    if (connection.signal.aborted)
      printMessage(`${jobs.length} of ${cells.length} jobs were started and go on; the same command comes back`);
    throw error;
  }
}

/** The sweep's jobs by cell, newest first where there are several. */
async function knownJobs({ channel, signal }: Connection, { files, tenantId }: Sweep): Promise<Map<string, Job>> {
  const known = new Map<string, Job>();
  const query = { limit: PAGE, metadata: { sweep: files.sweepId } };
  for (let after = ""; ; ) {
    const { jobs, hasMore } = await channel.unary(FineTuningServiceService.listJobs, { after, ...query }, { signal });
    for (const job of jobs) {
      const lost = job.state === JobState.JOB_STATE_FAILED || job.state === JobState.JOB_STATE_CANCELLED;
      const name = job.metadata["cell"];
      if (name !== undefined && !lost && !known.has(name) && (tenantId === "" || job.tenantId === tenantId)) known.set(name, job);
    }
    if (!hasMore) return known;
    after = jobs.at(-1)!.id;
  }
}

/** Keeps jobs waiting behind the one at `index`. Other jobs of the tenant may leave less room; then one is enough. */
async function createAhead({ cells }: Sweep, jobs: Job[], index: number, jobOf: (cell: Cell) => Promise<Job>): Promise<void> {
  const wanted = Math.min(cells.length, index + JOBS_AHEAD);
  while (jobs.length < wanted) {
    try {
      jobs.push(await jobOf(cells[jobs.length]!));
    } catch (error) {
      if (isFault(error, "rate_exceeded") && jobs.length > index) return;
      throw error;
    }
  }
}

/** The id of a file that is uploaded at its first use. */
type FileIds = (path: string) => Promise<string>;

function uploads(connection: Connection, tenantId: string): FileIds {
  const ids = new Map<string, string>();
  return async (path) => {
    const id = ids.get(path) ?? (await trainingFile(connection, path, tenantId));
    ids.set(path, id);
    return id;
  };
}

async function createJob({ channel, signal }: Connection, { files, seed, tenantId }: Sweep, cell: Cell, fileId: FileIds): Promise<Job> {
  const { epochs, learningRateMultiplier, rank } = cell;
  const subset = files.subsets.get(cell.examples)!;
  // Held-out records outnumber those of a small subset: they are measured at the end, and where a crash asks for a checkpoint.
  const facts = { examples: cell.examples, parameterCount: 1, stopsEarly: false };
  const { stepsTotal } = chooseHyperparameters({ epochs, learningRateMultiplier, rank, targets: [] }, facts);
  const request = {
    ...{ model: cell.base, tenantId, seed: String(seed), suffix: `sweep-${cell.examples}` },
    trainingFile: await fileId(subset.path),
    validationFile: await fileId(files.heldOut.path),
    hyperparameters: {
      ...{ epochs, learningRateMultiplier, rank },
      ...{ targets: [], checkpointSteps: Math.min(CHECKPOINT_STEPS_MAX, stepsTotal) },
    },
    metadata: { sweep: files.sweepId, cell: cellName(cell) },
  };
  const wish = CreateJobRequest.fromPartial(request as Parameters<typeof CreateJobRequest.fromPartial>[0]);
  const { job } = await channel.unary(FineTuningServiceService.createJob, wish, { signal });
  return job!;
}

/** Waits for the end of a job. */
async function ended(connection: Connection, id: string): Promise<Omit<TrainedCell, "cell">> {
  let metrics: StepMetrics | undefined;
  for await (const event of jobEvents(connection, id, true)) if (event.metrics?.fullValidLoss !== undefined) metrics = event.metrics;
  const { job } = await connection.channel.unary(FineTuningServiceService.getJob, { id }, { signal: connection.signal });
  return { job: job!, metrics };
}
