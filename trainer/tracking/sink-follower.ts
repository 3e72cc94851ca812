import type { Bytes, Clock, Fault, Millis, Random } from "#kernel";
import type { Bell } from "./bell.ts";
import type { ReportEvent, RunEnd, Sink, SinkState, TrackedRun } from "./contract.ts";
import { retryDelayMs } from "./retry-delay.ts";
import type { LogBatch } from "./run-log.ts";
import { sinkFault } from "./sink-fault.ts";

/** A week of attempts a minute apart: longer outages are for `deltaplane wandb sync`. */
const FAILURES_IN_A_ROW_MAX = 10_000;

/** What a follower sees of its tracker. */
export interface FollowedRun {
  readonly run: TrackedRun;
  /** Rings when there are new steps, and when the run has ended. */
  readonly bell: Bell;
  /** Set when no step will follow. */
  readonly end: RunEnd | undefined;
  read(position: Bytes, heldStep: number): Promise<LogBatch>;
}

export interface FollowerDeps {
  readonly clock: Clock;
  readonly random: Random;
  readonly report: ReportEvent;
}

/** Brings one sink to the end of the log and keeps it there, whatever fails on the way, until the run has ended or `signal` aborts. */
export class SinkFollower {
  readonly sink: Sink;
  readonly #deps: FollowerDeps;
  readonly #followed: FollowedRun;
  readonly #signal: AbortSignal;
  #failures = 0;

  constructor(sink: Sink, deps: FollowerDeps, followed: FollowedRun, signal: AbortSignal) {
    this.sink = sink;
    this.#deps = deps;
    this.#followed = followed;
    this.#signal = signal;
  }

  async follow(): Promise<SinkState> {
    while (!this.#signal.aborted) {
      try {
        await this.#deliver();
        return "delivered";
      } catch (error) {
        if (this.#signal.aborted) break;
        const fault = sinkFault(error);
        if (!(await this.#waitAfter(fault))) {
          this.#deps.report({ kind: "sink_gave_up", sink: this.sink.name, fault });
          return "gave_up";
        }
      }
    }
    return "behind";
  }

  /** False when there is nothing to wait for. */
  async #waitAfter(fault: Fault): Promise<boolean> {
    this.#failures += 1;
    const waitMs = this.#failures > FAILURES_IN_A_ROW_MAX ? undefined : retryDelayMs(fault, this.#failures, this.#deps.random);
    if (waitMs === undefined) return false;
    this.#deps.report({ kind: "sink_failed", sink: this.sink.name, fault, waitMs });
    await this.#deps.clock.after(waitMs, this.#signal).catch(() => undefined); // Aborted: the caller looks at the signal.
    return true;
  }

  async #deliver(): Promise<void> {
    const sink = this.sink;
    const { heldStep, url } = await sink.start(this.#followed.run, this.#signal);
    this.#deps.report({ kind: "sink_started", sink: sink.name, ...(url !== undefined && { url }) });
    let position: Bytes = 0;
    let idleSinceMs = this.#deps.clock.monotonic();
    for (;;) {
      const { end, bell } = this.#followed; // Before the read: a step that comes after it rings this bell.
      const rung = bell.next;
      const batch = await this.#followed.read(position, heldStep);
      if (batch.rows.length > 0) {
        await sink.write(batch.rows, this.#signal);
        this.#failures = 0;
        idleSinceMs = this.#deps.clock.monotonic();
        if (end === undefined) await this.#rest(sink.pauseMs);
      } else if (batch.position === position) {
        if (end !== undefined) return sink.finish(end, this.#signal);
        idleSinceMs = await this.#idle(rung, idleSinceMs);
      }
      position = batch.position;
    }
  }

  /** Lets steps gather; the end of the run is not made to wait. */
  async #rest(waitMs: Millis): Promise<void> {
    const until = this.#deps.clock.monotonic() + waitMs;
    for (let leftMs = waitMs; leftMs > 0 && this.#followed.end === undefined; leftMs = until - this.#deps.clock.monotonic()) {
      await this.#within(leftMs, this.#followed.bell.next);
    }
  }

  /** Until something is new, or a heartbeat is due; gives when the sink last heard from us. */
  async #idle(rung: Promise<void>, idleSinceMs: Millis): Promise<Millis> {
    const { sink } = this;
    if (sink.heartbeatMs === undefined || sink.heartbeat === undefined) {
      await this.#within(Number.POSITIVE_INFINITY, rung);
      return idleSinceMs;
    }
    const leftMs = idleSinceMs + sink.heartbeatMs - this.#deps.clock.monotonic();
    if (leftMs > 0 && (await this.#within(leftMs, rung))) return idleSinceMs;
    await sink.heartbeat(this.#signal);
    this.#failures = 0;
    return this.#deps.clock.monotonic();
  }

  /** Whether `rung` came within the time. @throws the signal's reason */
  async #within(waitMs: Millis, rung: Promise<void>): Promise<boolean> {
    const done = new AbortController();
    const { promise: aborted, reject } = Promise.withResolvers<never>();
    const abort = () => reject(this.#signal.reason);
    this.#signal.addEventListener("abort", abort);
    try {
      this.#signal.throwIfAborted();
      const timer = Number.isFinite(waitMs) ? this.#deps.clock.after(waitMs, done.signal).then(() => false) : undefined;
      timer?.catch(() => undefined); // Released below.
      return await Promise.race([rung.then(() => true), aborted, ...(timer ? [timer] : [])]);
    } finally {
      this.#signal.removeEventListener("abort", abort);
      done.abort("released");
    }
  }
}
