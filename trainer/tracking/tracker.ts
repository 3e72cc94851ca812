import { join } from "node:path";
import { assert, type Clock, MINUTE, type Millis, type Random } from "#kernel";
import { Bell } from "./bell.ts";
import type { MetricRow, ReportEvent, RunEnd, Sink, SinkState, TrackedRun, TrackedStep, Tracker, TrackingReport } from "./contract.ts";
import { metricRow } from "./metric-row.ts";
import { retryDelayMs } from "./retry-delay.ts";
import { type LogBatch, RunLog } from "./run-log.ts";
import { sinkFault } from "./sink-fault.ts";
import { SinkFollower } from "./sink-follower.ts";

/** Steps that wait for a disk that does not take them: hours of a small model's training, a few megabytes. */
const PENDING_STEPS_MAX = 10_000;
/** A finished job holds its trainer's place for no longer; what is not delivered then stays in the log. */
const FINISH_MS_MAX: Millis = MINUTE;

export interface TrackerDeps {
  readonly clock: Clock;
  readonly random: Random;
  /** Called from within; must not throw. */
  readonly report: ReportEvent;
}

export interface TrackerOptions {
  /** The job's own folder; the log is `metrics.jsonl` in it. One tracker at a time. */
  readonly directory: string;
  readonly sinks: readonly Sink[];
  /** Default: a minute. */
  readonly finishMsMax?: Millis;
}

export const LOG_FILE = "metrics.jsonl";

export function createTracker(deps: TrackerDeps, options: TrackerOptions): Tracker {
  const names = new Set(options.sinks.map((sink) => sink.name));
  assert(names.size === options.sinks.length, "two sinks have the same name");
  return new LoggedTracker(deps, options);
}

class LoggedTracker implements Tracker {
  readonly #deps: TrackerDeps;
  readonly #options: TrackerOptions;
  readonly #stop = new AbortController();
  /** Followers wait for it; rung when the log has grown, and at the end. */
  readonly #grown = new Bell();
  /** The writer waits for it; rung when there is something to write, and at the end. */
  readonly #stepped = new Bell();
  #pending: MetricRow[] = [];
  #stepsDropped = 0;
  #log: RunLog | undefined;
  #started = false;
  #ending: RunEnd | undefined;
  /** Set when the log is complete: only then may a sink be finished. */
  #end: RunEnd | undefined;
  #work: Promise<unknown> = Promise.resolve();
  readonly #states = new Map<string, SinkState>();

  constructor(deps: TrackerDeps, options: TrackerOptions) {
    this.#deps = deps;
    this.#options = options;
    for (const sink of options.sinks) this.#states.set(sink.name, "behind");
  }

  start(run: TrackedRun): void {
    assert(!this.#started, "a tracker tracks one run");
    this.#started = true;
    const tracker = this;
    const followed = {
      run,
      bell: this.#grown,
      get end() {
        return tracker.#end;
      },
      read: (position: number, heldStep: number) => tracker.#read(position, heldStep),
    };
    const followers = this.#options.sinks.map((sink) => new SinkFollower(sink, this.#deps, followed, this.#stop.signal));
    this.#work = Promise.all([this.#write(), ...followers.map((follower) => this.#follow(follower))]);
  }

  step(metrics: TrackedStep): void {
    assert(this.#started && this.#ending === undefined, "a step outside of start and finish");
    if (this.#pending.length < PENDING_STEPS_MAX) this.#pending.push(metricRow(metrics));
    else this.#dropped(1, "the disk does not take them");
    this.#stepped.ring();
  }

  async finish(end: RunEnd): Promise<TrackingReport> {
    assert(this.#started && this.#ending === undefined, "finish comes once, after start");
    this.#ending = end;
    this.#stepped.ring();
    const waiting = new AbortController();
    const late = this.#deps.clock.after(this.#options.finishMsMax ?? FINISH_MS_MAX, waiting.signal).catch(() => undefined); // Released below.
    await Promise.race([this.#work, late]);
    waiting.abort("released");
    await this[Symbol.asyncDispose]();
    return { sinks: Object.fromEntries(this.#states), stepsDropped: this.#stepsDropped };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort("tracking stopped");
    this.#stepped.ring();
    await this.#work;
  }

  async #follow(follower: SinkFollower): Promise<void> {
    this.#states.set(follower.sink.name, await follower.follow());
  }

  async #read(position: number, heldStep: number): Promise<LogBatch> {
    return this.#log === undefined ? { rows: [], position } : this.#log.read(position, heldStep);
  }

  /** The one writer of the log. A disk that refuses is tried again; meanwhile steps wait in memory, up to a limit. */
  async #write(): Promise<void> {
    for (let failures = 0; ; ) {
      const stepped = this.#stepped.next;
      const ending = this.#ending;
      try {
        await this.#writePending();
        failures = 0;
        if (ending !== undefined) this.#end = ending;
        this.#grown.ring();
        if (ending !== undefined || this.#stop.signal.aborted) return;
        await stepped;
      } catch (error) {
        this.#log = undefined;
        failures += 1;
        const fault = sinkFault(error);
        const waitMs = retryDelayMs(fault, failures, this.#deps.random);
        if (waitMs === undefined) throw fault; // A defect of ours, not the disk's.
        if (this.#stop.signal.aborted) return this.#dropped(this.#pending.length, fault.message);
        this.#deps.report({ kind: "sink_failed", sink: "log", fault, waitMs });
        await this.#deps.clock.after(waitMs, this.#stop.signal).catch(() => undefined); // Aborted: one last attempt follows.
      }
    }
  }

  async #writePending(): Promise<void> {
    this.#log ??= await RunLog.open(join(this.#options.directory, LOG_FILE));
    const rows = [...this.#pending];
    const refused = await this.#log.append(rows);
    this.#pending.splice(0, rows.length);
    if (refused > 0) this.#dropped(refused, "the log is full, or the step's line too long");
  }

  #dropped(count: number, message: string): void {
    if (count === 0) return;
    this.#stepsDropped += count;
    this.#deps.report({ kind: "steps_dropped", total: this.#stepsDropped, message });
  }
}
