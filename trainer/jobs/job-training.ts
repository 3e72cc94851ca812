import { link, mkdir, rm } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { BoundedQueue, type Clock, Fault, type Millis, type Random, toFault } from "#kernel";
import { JobCommand } from "#proto";
import { checkpointPath } from "../checkpoints/checkpoint-folder.ts";
import { type RunningTraining, startTraining, type TrainingDeps, type TrainingReport, type TrainingStepReport } from "../process/index.ts";
import type { BaseShelf } from "./base-shelf.ts";
import type { HeldJob, JobDesk } from "./job-desk.ts";
import { JobReporter } from "./job-reporter.ts";
import { JobTracking, type TrackingEnvironment } from "./job-tracking.ts";
import { stepMetrics } from "./step-metrics.ts";
import { jobFolders, trainingOptions } from "./training-options.ts";

export interface JobTrainingDeps {
  readonly clock: Clock;
  readonly random: Random;
  readonly desk: JobDesk;
  readonly bases: BaseShelf;
  /** Absent: what is trained is tracked nowhere. */
  readonly tracking?: TrackingEnvironment | undefined;
  /** The child's program; by default the trainer's own. */
  readonly entry?: TrainingDeps["entry"];
}

export interface JobTrainingOptions {
  /** Of this trainer; each job has a folder in it while it trains. */
  readonly directory: string;
  /** Of the child's runtime. */
  readonly threads?: number;
}

/** How a turn with a job ended here. */
export type TurnEnd = "succeeded" | "handed_back" | "forgotten";

/** In a row's mean: enough to even out long and short batches. */
const PACE_STEPS = 20;
/** Reports that wait to be told; then the child waits too. */
const QUEUE_MAX = 5_000;
const FULL_MS: Millis = 50;
/** Checkpoints that wait to be saved: a router that falls behind by more loses more than one interval with a crash. */
const KEPT_MAX = 8;

/**
 * Trains a job to its end, until it is paused or taken away, or until `stopping`. What the router is told is enough for
 * any trainer to go on.
 *
 * @throws Fault lease_lost; what the training fails with
 */
export async function trainJob(deps: JobTrainingDeps, options: JobTrainingOptions, held: HeldJob, stopping: AbortSignal): Promise<TurnEnd> {
  const folders = jobFolders(options.directory, held.job.id);
  await rm(folders.root, { recursive: true, force: true }); // Of an earlier life; the router has what counts.
  try {
    await using turn = new TrainingTurn(deps, held, folders);
    stopping.addEventListener("abort", () => turn.pause(), { once: true, signal: turn.over });
    if (stopping.aborted) turn.pause();
    return await turn.run(options.threads);
  } finally {
    await rm(folders.root, { recursive: true, force: true });
  }
}

/** One trainer's turn with one job. */
class TrainingTurn implements AsyncDisposable {
  readonly #deps: JobTrainingDeps;
  readonly #held: HeldJob;
  readonly #folders: ReturnType<typeof jobFolders>;
  readonly #reporter: JobReporter;
  readonly #lost = new AbortController();
  readonly #over = new AbortController();
  #training: RunningTraining | undefined;
  #tracking: JobTracking | undefined;
  #pausing = false;
  #paces: Millis[] = [];
  /** Checkpoints that are kept here until they have been saved. */
  #kept = 0;

  constructor(deps: JobTrainingDeps, held: HeldJob, folders: ReturnType<typeof jobFolders>) {
    this.#deps = deps;
    this.#held = held;
    this.#folders = folders;
    this.#reporter = new JobReporter(deps, held, (command) => this.#obey(command));
  }

  /** Aborts when nothing can be asked of it any more. */
  get over(): AbortSignal {
    return this.#over.signal;
  }

  /** Ends the turn at the next step, so that the job goes on from there some other time. */
  pause(): void {
    this.#pausing = true;
    this.#training?.pause();
  }

  async run(threads: number | undefined): Promise<TurnEnd> {
    if (this.#held.given.published !== "") return this.#end("succeeded");
    try {
      this.#training = await this.#start(threads);
      if (this.#pausing) this.#training.pause();
      if (this.#lost.signal.aborted) return "forgotten";
      const queue = new BoundedQueue<TrainingReport>(QUEUE_MAX);
      void this.#receive(this.#training, queue);
      for await (const report of queue) {
        const end = await this.#take(report, this.#training);
        if (end) return end;
      }
      throw new Fault("trainer_lost", "the training ended without a word");
    } catch (error) {
      if (this.#lost.signal.aborted) return "forgotten";
      if (toFault(error).retry.kind === "never") await this.#endTracking("failed", { error: toFault(error).message });
      throw error;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#over.abort();
    this.#lost.abort(new Fault("shutting_down", "the turn is over"));
    await this.#training?.[Symbol.asyncDispose]();
    await this.#tracking?.leave();
    await this.#reporter[Symbol.asyncDispose]();
  }

  async #start(threads: number | undefined): Promise<RunningTraining> {
    const { desk, bases, clock, entry } = this.#deps;
    const { job, given } = this.#held;
    const { signal } = this.#lost;
    await mkdir(this.#folders.root, { recursive: true });
    const base = await bases.open(job.model, job.baseDigest, given.baseDirectory);
    if (given.checkpoint) await desk.loadCheckpoint(this.#held, checkpointPath(this.#folders.checkpoints, 0), signal);
    const read = (fileId: string) => desk.readFile(this.#held, fileId, signal);
    const chosen = trainingOptions(job, base, this.#folders, read, Object.hasOwn(job.reasons, "validation"));
    const start = { ...chosen, ...(threads !== undefined && { threads }) };
    const training = await startTraining({ clock, ...(entry && { entry }) }, start);
    const { totalSteps, stepsDone, trainedTokens } = training.summary;
    await this.#startTracking();
    this.#reporter.progress({ stepsDone, stepsTotal: totalSteps, trainedTokens, estimatedFinishMs: 0 });
    return training;
  }

  /** What a report leads to; the turn's end with the last one. */
  async #take(report: TrainingReport, training: RunningTraining): Promise<TurnEnd | undefined> {
    const { desk } = this.#deps;
    switch (report.kind) {
      case "step":
        await this.#takeStep(report, training.summary.totalSteps);
        return undefined;
      case "checkpoint":
        await this.#save(report.step, report.file);
        return undefined;
      case "paused": {
        const end = await this.#end("handed_back");
        await this.#endTracking("paused", {});
        return end;
      }
      case "finished": {
        await this.#reporter.flush();
        const model = await desk.publish(this.#held, report.resultDirectory, undefined, this.#lost.signal);
        const end = await this.#end("succeeded");
        await this.#endTracking("succeeded", { fine_tuned_model: model, trained_tokens: report.trainedTokens });
        return end;
      }
    }
  }

  /** First what was trained is told, then where to go on from: the other way round, steps could be trained and never told. */
  async #save(step: number, file: string): Promise<void> {
    await this.#reporter.flush();
    await unlessGone(this.#deps.desk.saveCheckpoint(this.#held, step, file, this.#lost.signal));
    if (dirname(file) !== this.#folders.root) return;
    await rm(file, { force: true });
    this.#kept--;
  }

  /** Takes the child's reports as they come, so that it never waits for the router, and holds on to its checkpoints. */
  async #receive(training: RunningTraining, queue: BoundedQueue<TrainingReport>): Promise<void> {
    try {
      for await (const report of training.reports) {
        const kept = report.kind === "checkpoint" ? { ...report, file: await this.#keep(report.file) } : report;
        while (!queue.offer(kept)) await this.#deps.clock.after(FULL_MS, this.#over.signal);
      }
      queue.finish();
    } catch (error) {
      queue.fail(error as Error);
    }
  }

  /** The child keeps its newest checkpoints only, and may be some of them ahead of what has been told. */
  async #keep(file: string): Promise<string> {
    if (this.#kept >= KEPT_MAX) return file;
    const own = join(this.#folders.root, basename(file));
    await unlessGone(link(file, own));
    this.#kept++;
    return own;
  }

  async #takeStep(report: TrainingStepReport, stepsTotal: number): Promise<void> {
    const { clock, desk } = this.#deps;
    const { step, trainedTokens, durationMs, validation, epochResult, epoch } = report;
    const metrics = stepMetrics(report, clock.now() - this.#held.job.startedAtMs);
    this.#tracking?.step(metrics);
    const told = validation ? `, validation loss=${validation.loss.toFixed(2)}` : "";
    this.#reporter.note(`Step ${step}/${stepsTotal}: training loss=${report.loss.toFixed(2)}${told}`, metrics);
    this.#paces = [...this.#paces.slice(1 - PACE_STEPS), durationMs];
    const pace = this.#paces.reduce((sum, each) => sum + each, 0) / this.#paces.length;
    this.#reporter.progress({
      stepsDone: step,
      stepsTotal,
      trainedTokens,
      estimatedFinishMs: Math.round(clock.now() + (stepsTotal - step) * pace),
    });
    if (epochResult === undefined || step === stepsTotal) return;
    await this.#reporter.flush();
    const model = await unlessGone(desk.publish(this.#held, epochResult, metrics, this.#lost.signal));
    if (model) this.#reporter.note(`Checkpoint created at step ${step}, after epoch ${epoch + 1}: ${model}`);
  }

  async #end(kind: "succeeded" | "handed_back"): Promise<TurnEnd> {
    await this.#reporter.end({ kind });
    return kind;
  }

  async #startTracking(): Promise<void> {
    const { tracking, desk, clock, random } = this.#deps;
    if (!tracking) return;
    const { runs, root } = this.#folders;
    this.#tracking = await JobTracking.start({ ...tracking, desk, clock, random }, this.#held, this.#reporter, runs, root);
  }

  /** The job does not wait for it: its owner has been told before. */
  async #endTracking(outcome: "succeeded" | "failed" | "paused", summary: Readonly<Record<string, string | number>>): Promise<void> {
    const tracking = this.#tracking;
    this.#tracking = undefined;
    await tracking?.finish(outcome, summary);
  }

  #obey(command: JobCommand): void {
    if (command === JobCommand.JOB_COMMAND_PAUSE) this.pause();
    if (command !== JobCommand.JOB_COMMAND_CANCEL || this.#over.signal.aborted) return;
    this.#lost.abort(new Fault("lease_lost", "the job is over, or somebody else's"));
    void this.#training?.[Symbol.asyncDispose]();
  }
}

/** Undefined when a file is not there any more: the child keeps the newest only. */
async function unlessGone<T>(sending: Promise<T>): Promise<T | undefined> {
  try {
    return await sending;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
    return undefined;
  }
}
