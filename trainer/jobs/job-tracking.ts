import { createWriteStream, openAsBlob } from "node:fs";
import { mkdir, readdir, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { pipeline } from "node:stream/promises";
import type { Clock, Random } from "#kernel";
import { EventLevel, type File, type StepMetrics } from "#proto";
import { createSinks, createTracker, type RunEnd, type Tracker, type TrackingEvent } from "../tracking/index.ts";
import type { HeldJob, JobDesk } from "./job-desk.ts";
import type { JobReporter } from "./job-reporter.ts";
import { trackedRun, trackedStep } from "./tracked-job.ts";

/** What trackers need of the machine that a trainer runs on. */
export interface TrackingEnvironment {
  readonly env: Readonly<Record<string, string | undefined>>;
  /** The content of `~/.netrc`; "" when there is none. */
  readonly netrc: string;
  readonly fetch: typeof globalThis.fetch;
}

export interface JobTrackingDeps extends TrackingEnvironment {
  readonly clock: Clock;
  readonly random: Random;
  readonly desk: JobDesk;
}

/** Runs whose logs, results and TensorBoard files are kept on a trainer. */
const RUNS_MAX = 100;

/** One job's way into experiment trackers. Nothing here fails or slows the job. */
export class JobTracking {
  readonly #clock: Clock;
  readonly #tracker: Tracker;

  private constructor(clock: Clock, tracker: Tracker) {
    this.#clock = clock;
    this.#tracker = tracker;
  }

  /** `runs`: where every run has a folder that outlives it. `scratch`: where the job's files may lie meanwhile. */
  static async start(deps: JobTrackingDeps, held: HeldJob, reporter: JobReporter, runs: string, scratch: string): Promise<JobTracking> {
    const { job, given } = held;
    const directory = join(runs, job.id);
    await mkdir(directory, { recursive: true });
    await removeOldest(runs);
    const report = (event: TrackingEvent) => tell(reporter, event);
    const wandb = job.integrations.some(({ type }) => type === "wandb");
    const sinks = createSinks({ ...deps, report }, { directory, env: deps.env, netrc: deps.netrc, wandb });
    const tracker = createTracker({ ...deps, report }, { directory, sinks });
    const content = (file: File) => localBlob(deps.desk, held, file, scratch);
    tracker.start(trackedRun(job, { training: given.trainingFile, validation: given.validationFile, content }));
    return new JobTracking(deps.clock, tracker);
  }

  step(metrics: StepMetrics): void {
    this.#tracker.step(trackedStep(metrics, this.#clock.now()));
  }

  async finish(outcome: RunEnd["outcome"], summary: RunEnd["summary"]): Promise<void> {
    await this.#tracker.finish({ outcome, atMs: this.#clock.now(), summary: { status: outcome, ...summary } });
    await this.#tracker[Symbol.asyncDispose]();
  }

  /** Leaves the run open, for whoever goes on with it. */
  leave(): Promise<void> {
    return Promise.resolve(this.#tracker[Symbol.asyncDispose]());
  }
}

function tell(reporter: JobReporter, event: TrackingEvent): void {
  if (event.kind === "sink_started" && event.url !== undefined) reporter.note(`Tracked in ${event.sink}: ${event.url}`);
  else if (event.kind === "sink_gave_up") warn(reporter, `${event.sink} does not take the run: ${event.fault.message}`);
  else if (event.kind === "sink_warned") warn(reporter, `${event.sink}: ${event.message}`);
}

function warn(reporter: JobReporter, message: string): void {
  reporter.note(message, undefined, EventLevel.EVENT_LEVEL_WARN);
}

/** Trackers read a file more than once, and it may be half a gigabyte: it lies on disk meanwhile. */
async function localBlob(desk: JobDesk, held: HeldJob, file: File, scratch: string): Promise<Blob> {
  const path = join(scratch, file.id);
  const there = await stat(path).catch(() => undefined);
  if (there?.size !== file.sizeBytes) await pipeline(desk.readFile(held, file.id, new AbortController().signal), createWriteStream(path));
  return openAsBlob(path);
}

async function removeOldest(runs: string): Promise<void> {
  const names = await readdir(runs);
  if (names.length <= RUNS_MAX) return;
  const aged = await Promise.all(names.map(async (name) => ({ name, at: (await stat(join(runs, name))).mtimeMs })));
  aged.sort((one, other) => one.at - other.at);
  for (const { name } of aged.slice(0, names.length - RUNS_MAX)) await rm(join(runs, name), { recursive: true, force: true });
}
