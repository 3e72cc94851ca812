import { type Clock, Fault, isFault, type Millis, SECOND, toFault } from "#kernel";
import { EventLevel, type Hyperparameters, JobCommand, type JobError, type JobEvent, JobState, type StepMetrics } from "#proto";
import type { HeldJob, JobDesk } from "./job-desk.ts";

/** How far the work is. Counts only grow. */
export interface JobProgress {
  readonly stepsDone: number;
  readonly stepsTotal: number;
  readonly trainedTokens: number;
  readonly estimatedFinishMs: number;
}

/** What ends the hold on a job. */
export type JobEnd =
  | { readonly kind: "succeeded" | "handed_back" }
  | { readonly kind: "failed"; readonly error: JobError }
  | {
      readonly kind: "validated";
      readonly chosen: Hyperparameters;
      readonly reasons: Readonly<Record<string, string>>;
      readonly plannedTokens: number;
    };

/** What is told waits so long for more. A second of staring at the same number feels like a stop. */
const REPORT_MS: Millis = SECOND / 2;
const RETRY_MS: Millis = SECOND / 2;
/** Waiting for the router; older ones than these have been told. */
const EVENTS_MAX = 2_000;

/**
 * Tells the router about a job, in order and once each, and that this trainer is alive. What the router answers is told
 * by `onCommand`, as is the loss of the lease: as cancel.
 */
export class JobReporter implements AsyncDisposable {
  readonly #deps: { readonly desk: JobDesk; readonly clock: Clock };
  readonly #held: HeldJob;
  readonly #onCommand: (command: JobCommand) => void;
  readonly #stop = new AbortController();
  readonly #beating: Promise<void>;
  #events: JobEvent[] = [];
  #progress: JobProgress = { stepsDone: 0, stepsTotal: 0, trainedTokens: 0, estimatedFinishMs: 0 };
  #sequence = 0;
  /** Reports go one after the other. */
  #last: Promise<void> = Promise.resolve();

  constructor(deps: { readonly desk: JobDesk; readonly clock: Clock }, held: HeldJob, onCommand: (command: JobCommand) => void) {
    this.#deps = deps;
    this.#held = held;
    this.#onCommand = onCommand;
    this.#beating = this.#beat();
  }

  note(message: string, metrics?: StepMetrics, level: EventLevel = EventLevel.EVENT_LEVEL_INFO): void {
    // A router that is away for long loses the oldest steps; their sums are in the progress.
    if (this.#events.length >= EVENTS_MAX) this.#events.shift();
    this.#events.push({ id: "", position: 0, createdAtMs: this.#deps.clock.now(), level, message, metrics });
  }

  progress(progress: JobProgress): void {
    this.#progress = progress;
  }

  /** Tells all there is. @throws the router's fault; lease_lost */
  flush(): Promise<void> {
    return this.#send(undefined);
  }

  /** The last word. */
  async end(end: JobEnd): Promise<void> {
    this.#stop.abort();
    await this.#beating;
    await this.#send(end);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    await this.#beating;
    await this.#last;
  }

  async #beat(): Promise<void> {
    while (!this.#stop.signal.aborted) {
      await this.#deps.clock.after(REPORT_MS, this.#stop.signal).catch(() => undefined); // Only the stop ends the wait early.
      if (this.#stop.signal.aborted) return;
      try {
        await this.#send(undefined);
      } catch (error) {
        if (isFault(error, "lease_lost")) this.#onCommand(JobCommand.JOB_COMMAND_CANCEL);
        if (isFault(error, "lease_lost")) return;
      }
    }
  }

  #send(end: JobEnd | undefined): Promise<void> {
    const sending = this.#last.then(() => this.#sendNow(end));
    this.#last = sending.catch(() => undefined); // Its own caller is told.
    return sending;
  }

  /** Tries the same report until the lease must be over: the router knows it by its sequence. */
  async #sendNow(end: JobEnd | undefined): Promise<void> {
    const { desk, clock } = this.#deps;
    const { job, epoch, leaseMs } = this.#held;
    const events = this.#events;
    this.#events = [];
    const sequence = ++this.#sequence;
    const report = { jobId: job.id, epoch, sequence, events, ...this.#progress, ...endFields(end) };
    const until = clock.monotonic() + leaseMs;
    for (;;) {
      try {
        const command = await desk.report(report);
        this.#onCommand(command);
        return;
      } catch (error) {
        const fault = toFault(error);
        const again = fault.code === "unavailable" || fault.code === "deadline_exceeded" || fault.reason === "version_conflict";
        if (!again) throw fault;
        if (clock.monotonic() >= until)
          throw new Fault("lease_lost", "the router did not answer for as long as the lease lasts", { cause: error });
        await clock.after(RETRY_MS);
      }
    }
  }
}

const STATES = {
  succeeded: JobState.JOB_STATE_SUCCEEDED,
  handed_back: JobState.JOB_STATE_QUEUED,
  validated: JobState.JOB_STATE_QUEUED,
  failed: JobState.JOB_STATE_FAILED,
} as const satisfies Record<JobEnd["kind"], JobState>;

function endFields(end: JobEnd | undefined) {
  return {
    end: end ? STATES[end.kind] : JobState.JOB_STATE_UNSPECIFIED,
    error: end?.kind === "failed" ? end.error : undefined,
    chosen: end?.kind === "validated" ? end.chosen : undefined,
    reasons: end?.kind === "validated" ? { ...end.reasons } : {},
    plannedTokens: end?.kind === "validated" ? end.plannedTokens : 0,
  };
}
