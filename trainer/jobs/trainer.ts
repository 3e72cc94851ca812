import { type Clock, type Fault, isFault, type Log, type Millis, type Random, SECOND, toFault } from "#kernel";
import { type GrpcChannel, JobCommand, JobWork } from "#proto";
import type { TrainingDeps } from "../process/index.ts";
import { BaseShelf } from "./base-shelf.ts";
import { type HeldJob, JobDesk } from "./job-desk.ts";
import { JobReporter } from "./job-reporter.ts";
import type { TrackingEnvironment } from "./job-tracking.ts";
import { trainJob } from "./job-training.ts";
import { validateJob } from "./job-validation.ts";
import { Routers } from "./routers.ts";

export interface TrainerDeps {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  /** To the routers, with the cluster's key. They stay the caller's. */
  readonly routers: Iterable<GrpcChannel>;
  /** Where the base that a location names lies on this machine, fetched if it has to be. Default: a location is a folder. */
  readonly openBaseFolder?: (location: string) => Promise<string>;
  /** Absent: what is trained is tracked nowhere. */
  readonly tracking?: TrackingEnvironment;
  /** The program of the child that trains; by default the trainer's own. */
  readonly entry?: TrainingDeps["entry"];
}

export interface TrainerOptions {
  /** What people know it by; every life adds something of its own. */
  readonly name: string;
  /** Where jobs lie while they are trained, and what their runs were tracked as: logs, results and TensorBoard files. */
  readonly directory: string;
  /** Bases whose folders are other ones here than on the nodes. */
  readonly bases?: readonly { readonly name: string; readonly directory: string }[];
  readonly threads?: number;
}

/** A part of a cluster that trains jobs, one at a time, and checks the files of others meanwhile. Disposing hands its job back. */
export interface RunningTrainer extends AsyncDisposable {
  readonly trainerId: string;
}

/** Between two asks when the routers are away, or has just failed. */
const RETRY_MS: Millis = SECOND;
/** A job whose child process is lost so often in a row, without a checkpoint in between, is too large or breaks the runtime. */
const LOSSES_MAX = 3;

/** Starts a trainer: it asks the routers for work until it is disposed. Needs no store, and keeps nothing. */
export function startTrainer(deps: TrainerDeps, options: TrainerOptions): RunningTrainer {
  const trainerId = `${options.name}-${deps.random.bits().toString(16).padStart(16, "0")}`;
  const trainer = new Trainer(deps, options, new JobDesk(new Routers(deps.routers), trainerId));
  const stop = new AbortController();
  const working = Promise.all([trainer.work(JobWork.JOB_WORK_VALIDATE, stop.signal), trainer.work(JobWork.JOB_WORK_TRAIN, stop.signal)]);
  return {
    trainerId,
    async [Symbol.asyncDispose]() {
      stop.abort();
      await working;
    },
  };
}

class Trainer {
  readonly #deps: TrainerDeps;
  readonly #options: TrainerOptions;
  readonly #desk: JobDesk;
  readonly #bases: BaseShelf;
  /** By job: where it stood when its child was lost, and how often in a row. */
  readonly #losses = new Map<string, { readonly step: number; readonly count: number }>();

  constructor(deps: TrainerDeps, options: TrainerOptions, desk: JobDesk) {
    this.#deps = deps;
    this.#options = options;
    this.#desk = desk;
    this.#bases = new BaseShelf(options.bases ?? [], deps.openBaseFolder);
  }

  /** One sort of work, one job after the other. */
  async work(work: JobWork, stop: AbortSignal): Promise<void> {
    while (!stop.aborted) {
      try {
        const held = await this.#desk.lease(work, this.#bases.names, stop);
        if (held) await this.#workOn(work, held, stop);
      } catch (error) {
        if (stop.aborted) return;
        const fault = toFault(error);
        // A long wait that the transport cuts, and a router that starts again, are nothing to tell of.
        if (fault.code !== "unavailable" && fault.code !== "deadline_exceeded")
          this.#deps.log.warn({ err: error }, "the trainer could not work");
        await this.#pause(stop);
      }
    }
  }

  async #workOn(work: JobWork, held: HeldJob, stop: AbortSignal): Promise<void> {
    const { log } = this.#deps;
    const about = { job: held.job.id, epoch: held.epoch };
    try {
      if (work === JobWork.JOB_WORK_VALIDATE) await this.#validate(held);
      else {
        const end = await trainJob({ ...this.#deps, desk: this.#desk, bases: this.#bases }, this.#options, held, stop);
        log.info({ ...about, end }, "the turn with a job is over");
      }
      this.#losses.delete(held.job.id);
    } catch (error) {
      const fault = toFault(error);
      if (fault.reason === "lease_lost") return log.warn(about, "the job was lost to somebody else");
      log.warn({ ...about, err: error }, "the work on a job failed");
      await this.#giveUp(held, this.#isFinal(held, fault) ? fault : undefined);
      await this.#pause(stop);
    }
  }

  async #validate(held: HeldJob): Promise<void> {
    const { job, given } = held;
    const lost = new AbortController();
    await using reporter = this.#reporter(held, () => lost.abort("the job is over"));
    try {
      const base = await this.#bases.open(job.model, job.baseDigest, given.baseDirectory);
      const read = (fileId: string) => this.#desk.readFile(held, fileId, lost.signal);
      const { training, chosen, reasons, plannedTokens, stepsTotal } = await validateJob(job, base, read);
      const { records, tokens } = training;
      reporter.note(`Files validated: ${records} examples of ${tokens} tokens; ${chosen.epochs} epochs are ${plannedTokens} tokens`);
      reporter.progress({ stepsDone: 0, stepsTotal, trainedTokens: 0, estimatedFinishMs: 0 });
      await reporter.end({ kind: "validated", chosen: { ...chosen, targets: [...chosen.targets] }, reasons, plannedTokens });
    } catch (error) {
      if (!lost.signal.aborted) throw error;
    }
  }

  /** Says what has become of it: failed for good, or somebody's next turn. */
  async #giveUp(held: HeldJob, failure: Fault | undefined): Promise<void> {
    try {
      await using reporter = this.#reporter(held, () => undefined);
      const error = failure && { code: failure.reason, message: failure.message, field: failure.detail.field ?? failure.detail.file ?? "" };
      await reporter.end(error ? { kind: "failed", error } : { kind: "handed_back" });
    } catch (error) {
      // Its lease runs out by itself.
      if (!isFault(error, "lease_lost")) this.#deps.log.warn({ job: held.job.id, err: error }, "a job could not be given back");
    }
  }

  #reporter(held: HeldJob, onLost: () => void): JobReporter {
    return new JobReporter({ desk: this.#desk, clock: this.#deps.clock }, held, (command) => {
      if (command === JobCommand.JOB_COMMAND_CANCEL) onLost();
    });
  }

  /** Whether trying again would come to the same. */
  #isFinal({ job }: HeldJob, fault: Fault): boolean {
    if (fault.reason === "trainer_lost") {
      const before = this.#losses.get(job.id);
      const count = before?.step === job.stepsDone ? before.count + 1 : 1;
      this.#losses.set(job.id, { step: job.stepsDone, count });
      return count >= LOSSES_MAX;
    }
    return fault.code !== "unavailable" && fault.code !== "deadline_exceeded" && fault.code !== "aborted" && fault.code !== "cancelled";
  }

  async #pause(stop: AbortSignal): Promise<void> {
    await this.#deps.clock.after(RETRY_MS, stop).catch(() => undefined); // Only the stop ends the wait early.
  }
}
