import { mkdir, rm } from "node:fs/promises";
import { type Clock, Fault, type Millis } from "#kernel";
import { JobCommand } from "#proto";
import { checkpointPath } from "../checkpoints/checkpoint-folder.ts";
import { type RunningTraining, startTraining, type TrainingDeps, type TrainingReport, type TrainingStepReport } from "../process/index.ts";
import type { BaseShelf } from "./base-shelf.ts";
import type { HeldJob, JobDesk } from "./job-desk.ts";
import { JobReporter } from "./job-reporter.ts";
import { stepMetrics } from "./step-metrics.ts";
import { jobFolders, trainingOptions } from "./training-options.ts";

export interface JobTrainingDeps {
  readonly clock: Clock;
  readonly desk: JobDesk;
  readonly bases: BaseShelf;
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
  #pausing = false;
  #paces: Millis[] = [];

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
      for await (const report of this.#training.reports) {
        const end = await this.#take(report, this.#training);
        if (end) return end;
      }
      throw new Fault("trainer_lost", "the training ended without a word");
    } catch (error) {
      if (this.#lost.signal.aborted) return "forgotten";
      throw error;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#over.abort();
    this.#lost.abort(new Fault("shutting_down", "the turn is over"));
    await this.#training?.[Symbol.asyncDispose]();
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
        // First what was trained, then where to go on from: the other way round, steps could be trained and never told.
        await this.#reporter.flush();
        await desk.saveCheckpoint(this.#held, report.step, report.file, this.#lost.signal);
        this.#reporter.note(`Checkpoint saved at step ${report.step}`);
        return undefined;
      case "paused":
        return this.#end("handed_back");
      case "finished": {
        await this.#reporter.flush();
        await desk.publish(this.#held, report.resultDirectory, undefined, this.#lost.signal);
        return this.#end("succeeded");
      }
    }
  }

  async #takeStep(report: TrainingStepReport, stepsTotal: number): Promise<void> {
    const { clock, desk } = this.#deps;
    const { step, trainedTokens, durationMs, validation, epochResult, epoch } = report;
    const metrics = stepMetrics(report, clock.now() - this.#held.job.startedAtMs);
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
    const model = await desk.publish(this.#held, epochResult, metrics, this.#lost.signal);
    this.#reporter.note(`Checkpoint created at step ${step}, after epoch ${epoch + 1}: ${model}`);
  }

  async #end(kind: "succeeded" | "handed_back"): Promise<TurnEnd> {
    await this.#reporter.end({ kind });
    return kind;
  }

  #obey(command: JobCommand): void {
    if (command === JobCommand.JOB_COMMAND_PAUSE) this.pause();
    if (command !== JobCommand.JOB_COMMAND_CANCEL || this.#over.signal.aborted) return;
    this.#lost.abort(new Fault("lease_lost", "the job is over, or somebody else's"));
    void this.#training?.[Symbol.asyncDispose]();
  }
}
