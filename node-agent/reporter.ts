import { type Clock, type DeltaDigest, type Log, type Millis, type NodeState, type Residency, SECOND } from "#kernel";
import {
  baseLoadToMessage,
  ClusterServiceService,
  type GrpcChannel,
  nodeStateToMessage,
  type ReportRequest,
  residencyToMessage,
} from "#proto";
import type { ChangeBell } from "./change-bell.ts";
import type { ResidencyBook } from "./delta-cache/index.ts";
import type { DeltaDemand, Demand } from "./delta-demand.ts";
import type { HostedBases } from "./hosted-bases.ts";

export interface ReporterDeps {
  readonly clock: Clock;
  readonly log: Log;
  readonly bases: HostedBases;
  readonly residency: ResidencyBook;
  readonly demand: DeltaDemand;
  /** Rings for what the residency book does not know: a base, the node's state. */
  readonly changes: ChangeBell;
}

export interface ReporterOptions {
  readonly nodeId: string;
  /** `host:port` of the node's service. */
  readonly address: string;
  readonly epoch: string;
  /** One of several: each replica has a reporter of its own. Stays the caller's. */
  readonly scheduler: GrpcChannel;
  readonly state: () => NodeState;
}

/** Inside the promised second, whatever delays one report. */
const HEARTBEAT_MS: Millis = 0.8 * SECOND;
/** Changes come in bursts (a load, its references, an eviction): one report tells them all. */
const COALESCE_MS: Millis = 20;
const RECONNECT_MS_MIN: Millis = 100;
const RECONNECT_MS_MAX: Millis = 2 * SECOND;

/** Tells a scheduler what this node holds and how busy it is: everything at first, then what changed. */
export function startReporter(deps: ReporterDeps, options: ReporterOptions): AsyncDisposable {
  const stopping = new AbortController();
  const stream = new ReportStream(deps, options, stopping.signal);
  const running = stream.run();
  const unlisten = deps.changes.listen(() => stream.nudge());
  return {
    async [Symbol.asyncDispose]() {
      unlisten();
      stopping.abort();
      await running;
    },
  };
}

/** The stream to the scheduler, opened again whenever it ends. */
class ReportStream {
  readonly #deps: ReporterDeps;
  readonly #options: ReporterOptions;
  readonly #stopping: AbortSignal;
  #wake = new AbortController();

  constructor(deps: ReporterDeps, options: ReporterOptions, stopping: AbortSignal) {
    this.#deps = deps;
    this.#options = options;
    this.#stopping = stopping;
  }

  nudge(): void {
    this.#wake.abort();
  }

  async run(): Promise<void> {
    let waitMs = RECONNECT_MS_MIN;
    while (!this.#stopping.aborted) {
      const openedAt = this.#deps.clock.monotonic();
      try {
        await this.#options.scheduler.clientStream(ClusterServiceService.report, this.#reports(), { signal: this.#stopping });
      } catch (error) {
        if (this.#stopping.aborted) return;
        if (waitMs === RECONNECT_MS_MIN)
          this.#deps.log.warn({ err: error }, "the stream of reports to a scheduler ended; it will be opened again");
      }
      if (this.#deps.clock.monotonic() - openedAt > RECONNECT_MS_MAX) waitMs = RECONNECT_MS_MIN;
      await this.#pause(waitMs, this.#stopping);
      waitMs = Math.min(waitMs * 2, RECONNECT_MS_MAX);
    }
  }

  /** The reports of one stream. What is not pulled is merged: a slow scheduler gets fewer, larger ones. */
  async *#reports(): AsyncGenerator<ReportRequest> {
    const feed = this.#deps.residency.follow(() => this.nudge());
    const demand = this.#deps.demand.follow();
    try {
      feed.take(); // The full report has it.
      demand.take();
      this.#wake = new AbortController();
      yield this.#report(1, true, this.#deps.residency.all(), [], this.#deps.demand.all());
      for (let sequence = 2; !this.#stopping.aborted; sequence++) {
        await this.#pause(HEARTBEAT_MS, AbortSignal.any([this.#wake.signal, this.#stopping]));
        if (this.#wake.signal.aborted) await this.#pause(COALESCE_MS, this.#stopping);
        this.#wake = new AbortController();
        const { changed, removed } = feed.take();
        yield this.#report(sequence, false, changed, removed, demand.take());
      }
    } finally {
      feed.close();
      demand.close();
    }
  }

  #report(
    sequence: number,
    full: boolean,
    deltas: ReadonlyMap<DeltaDigest, Residency>,
    removedDigests: readonly DeltaDigest[],
    demand: readonly Demand[],
  ): ReportRequest {
    const { nodeId, address, epoch, state } = this.#options;
    return {
      nodeId,
      address,
      epoch,
      sequence,
      state: nodeStateToMessage(state()),
      bases: this.#deps.bases.all().map((host) => baseLoadToMessage(host.info.digest, host.report())),
      full,
      deltas: [...deltas].map(([digest, residency]) => residencyToMessage(digest, residency)),
      removedDigests: [...removedDigests],
      demand: [...demand],
    };
  }

  /** Waits, or less when `signal` aborts: then there is something to do. */
  async #pause(waitMs: Millis, signal: AbortSignal): Promise<void> {
    try {
      await this.#deps.clock.after(waitMs, signal);
    } catch (error) {
      if (!signal.aborted) throw error;
    }
  }
}
