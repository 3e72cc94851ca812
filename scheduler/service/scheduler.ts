import type { Registry } from "prom-client";
import { type Clock, every, Fault, type Log, type Millis, type Random, SECOND, type Snapshot, toFault } from "#kernel";
import { ClusterServiceService, type Handlers, implement, type ReportRequest, requireClusterKey, startGrpcServer } from "#proto";
import { Membership } from "./membership.ts";
import { createSchedulerMetrics, type SchedulerMetrics } from "./metrics.ts";
import { readReport } from "./report.ts";
import { SnapshotFeed } from "./snapshot-feed.ts";

export interface SchedulerDeps {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly registry: Registry;
}

export interface SchedulerOptions {
  /** `host:port`; port 0 takes a free one. */
  readonly listen: string;
  /** What nodes and routers must present. */
  readonly clusterKey: string;
  /** A node that is silent for longer is gone. Default 3 s: nodes report every second, so two reports may be lost. */
  readonly silenceMsMax?: Millis;
}

export interface RunningScheduler extends AsyncDisposable {
  readonly port: number;
  snapshot(): Snapshot;
}

const SILENCE_MS_MAX: Millis = 3 * SECOND;
/** How late a silent node may be found gone. */
const EXPIRE_EVERY_MS: Millis = 250;

/** Starts the ClusterService: takes reports, says who is there. All of its state is soft, so dispose cuts its streams at once. */
export async function startScheduler(deps: SchedulerDeps, options: SchedulerOptions): Promise<RunningScheduler> {
  const { clock, log } = deps;
  const membership = new Membership(options.silenceMsMax ?? SILENCE_MS_MAX);
  const feed = new SnapshotFeed(deps, () => membership.snapshot);
  const metrics = createSchedulerMetrics(deps.registry, { snapshot: () => membership.snapshot, watchers: () => feed.watchers });
  const server = await startGrpcServer({
    listen: options.listen,
    clock,
    services: [
      {
        name: "deltaplane.v1.ClusterService",
        definition: ClusterServiceService,
        implementation: implement(ClusterServiceService, handlers(deps, options, { membership, feed, metrics }), { clock }),
      },
    ],
  });
  const stop = new AbortController();
  const expiring = every(clock, EXPIRE_EVERY_MS, stop.signal, () => {
    const gone = membership.expire(clock.monotonic());
    for (const nodeId of gone) log.warn({ nodeId }, "a node fell silent and is gone");
    if (gone.length > 0) feed.changed();
  });
  server.setServing(true);
  return {
    port: server.port,
    snapshot: () => membership.snapshot,
    async [Symbol.asyncDispose]() {
      stop.abort();
      feed.close();
      await Promise.all([expiring, server.drain(0)]);
    },
  };
}

interface Parts {
  readonly membership: Membership;
  readonly feed: SnapshotFeed;
  readonly metrics: SchedulerMetrics;
}

function handlers(deps: SchedulerDeps, options: SchedulerOptions, parts: Parts): Handlers<typeof ClusterServiceService> {
  const authorise = (credential: string | undefined) => requireClusterKey(credential, options.clusterKey);
  let streams = 0;
  return {
    async report(requests, { credential }) {
      authorise(credential);
      const stream = ++streams;
      for await (const request of requests) takeReport(request, stream, deps, parts);
      return {};
    },
    async *watchSnapshot(_, { credential, signal }) {
      authorise(credential);
      yield* parts.feed.watch(signal);
    },
  };
}

function takeReport(request: ReportRequest, stream: number, { clock, log }: SchedulerDeps, { membership, feed, metrics }: Parts): void {
  try {
    const report = readReport(request);
    const verdict = membership.report(stream, report, clock.monotonic());
    if (verdict.kind === "rejected") throw new Fault("report_rejected", verdict.why, { detail: { resource: report.nodeId } });
  } catch (error) {
    const { reason, message } = toFault(error);
    metrics.reported("rejected");
    log.warn({ reason, nodeId: request.nodeId.slice(0, 80) }, message);
    throw error;
  }
  metrics.reported("accepted");
  feed.changed();
}
