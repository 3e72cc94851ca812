import type { Registry } from "prom-client";
import {
  asNodeId,
  type Clock,
  deadlineSignal,
  every,
  Fault,
  type Log,
  type Millis,
  type Random,
  SECOND,
  type Snapshot,
  toFault,
} from "#kernel";
import {
  type CertificateSource,
  ClusterServiceService,
  type Handlers,
  implement,
  type ReportRequest,
  requireClusterKey,
  startGrpcServer,
} from "#proto";
import { LOADS_PER_NODE_MAX, MOVES_MAX } from "#scheduler";
import type { Leases } from "#state";
import type { PlacementLimits } from "./base-placement.ts";
import { ClusterPlacement } from "./cluster-placement.ts";
import { SOLO_LEASES, startLeadership } from "./leadership.ts";
import { Membership } from "./membership.ts";
import { createSchedulerMetrics, type SchedulerMetrics } from "./metrics.ts";
import { NodeOrders } from "./node-orders.ts";
import { PlacementRounds } from "./placement-rounds.ts";
import { readReport } from "./report.ts";
import { SnapshotFeed } from "./snapshot-feed.ts";

export interface SchedulerDeps {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly registry: Registry;
  /** What decides who of several schedulers leads. Default: none, this one is alone. Stays the caller's. */
  readonly leases?: Leases;
}

export interface SchedulerOptions {
  /** `host:port`; port 0 takes a free one. */
  readonly listen: string;
  /** What nodes and routers must present. */
  readonly clusterKey: string;
  /** A node that is silent for longer is gone. Default 3 s: nodes report every second, so two reports may be lost. */
  readonly silenceMsMax?: Millis;
  /** Between the parts of the cluster; in the clear when absent. */
  readonly tls?: CertificateSource;
  /**
   * After the start, watchers are told nothing for so long: every node has reported by then, and nobody takes a cluster
   * that has not yet reported for an empty one. Default: none, for who starts it with the cluster.
   */
  readonly settleMs?: Millis;
  /** From one placement round to the next. Default 1 s: a crowd has its copies in a few. */
  readonly roundMs?: Millis;
  /** Without a request for so long, `nodes_wanted` of a base goes to 0. Default: never, a base always keeps one. */
  readonly idleMsMax?: Millis;
}

export interface RunningScheduler extends AsyncDisposable {
  readonly port: number;
  snapshot(): Snapshot;
  /** Whether watchers are told of the cluster, and it does not stop. */
  ready(): boolean;
  /** Under which it leads; undefined while another one does. */
  leaderEpoch(): number | undefined;
}

/** A node comes back to a scheduler within 2 s, and reports at once. */
export const SCHEDULER_SETTLE_MS: Millis = 2.5 * SECOND;

const SILENCE_MS_MAX: Millis = 3 * SECOND;
const ROUND_MS: Millis = SECOND;
/** A few changes at a time: each costs a load, and shows in the next reports what it was good for. */
const PLACEMENT_LIMITS: PlacementLimits = { movesMax: MOVES_MAX, loadsPerNodeMax: LOADS_PER_NODE_MAX, idleMsMax: Number.POSITIVE_INFINITY };
/** How late a silent node may be found gone. */
const EXPIRE_EVERY_MS: Millis = 250;

/** Starts the ClusterService: takes reports, says who is there. All of its state is soft, so dispose cuts its streams at once. */
export async function startScheduler(deps: SchedulerDeps, options: SchedulerOptions): Promise<RunningScheduler> {
  const { clock, log } = deps;
  const membership = new Membership(options.silenceMsMax ?? SILENCE_MS_MAX);
  const stop = new AbortController();
  const settled = settledSignal(clock, options.settleMs ?? 0, stop.signal);
  const feed = new SnapshotFeed(deps, () => membership.snapshot, settled);
  const metrics = createSchedulerMetrics(deps.registry, { snapshot: () => membership.snapshot, watchers: () => feed.watchers });
  await using started = new AsyncDisposableStack();
  const placement = new ClusterPlacement();
  const holder = `scheduler-${deps.random.bits().toString(16)}`;
  const onChange = () => wake.abort();
  let wake = new AbortController();
  const leadership = started.use(startLeadership({ clock, log, leases: deps.leases ?? SOLO_LEASES }, { holder, from: settled, onChange }));
  const orders = started.use(new NodeOrders({ clock, log, epoch: () => leadership.epoch, onOrder: metrics.ordered }, options));
  const limits = { ...PLACEMENT_LIMITS, idleMsMax: options.idleMsMax ?? PLACEMENT_LIMITS.idleMsMax };
  const rounds = new PlacementRounds({ clock, placement, leadership, orders, onMove: metrics.moved }, limits);
  const parts = { membership, feed, metrics, placement, rounds };
  const server = await startGrpcServer({
    listen: options.listen,
    clock,
    ...(options.tls && { tls: { kind: "mutual", certificate: options.tls } }),
    services: [
      {
        name: "deltaplane.v1.ClusterService",
        definition: ClusterServiceService,
        implementation: implement(ClusterServiceService, handlers(deps, options, parts), { clock }),
      },
    ],
  });
  const expiring = every(clock, EXPIRE_EVERY_MS, stop.signal, () => {
    const gone = membership.expire(clock.monotonic());
    for (const nodeId of gone) log.warn({ nodeId }, "a node fell silent and is gone");
    if (gone.length > 0) feed.changed();
  });
  const placing = (async () => {
    while (!stop.signal.aborted) {
      await pause(clock, options.roundMs ?? ROUND_MS, AbortSignal.any([stop.signal, wake.signal]));
      wake = new AbortController();
      if (!settled.aborted || stop.signal.aborted) continue;
      placement.follow(membership.snapshot, clock.monotonic());
      membership.setPlan(rounds.round(membership.snapshot.nodes));
      feed.changed();
    }
  })();
  server.setServing(true);
  const owned = started.move();
  return {
    port: server.port,
    snapshot: () => membership.snapshot,
    ready: () => settled.aborted && !stop.signal.aborted,
    leaderEpoch: () => leadership.epoch,
    async [Symbol.asyncDispose]() {
      stop.abort();
      feed.close();
      await Promise.all([expiring, placing, server.drain(0)]);
      await owned.disposeAsync();
    },
  };
}

/** Aborts after `settleMs`, or when the scheduler stops: then the feed is closed. */
function settledSignal(clock: Clock, settleMs: Millis, stop: AbortSignal): AbortSignal {
  if (settleMs === 0) return AbortSignal.abort();
  return deadlineSignal(clock, settleMs, () => "settled", stop).signal;
}

interface Parts {
  readonly membership: Membership;
  readonly feed: SnapshotFeed;
  readonly metrics: SchedulerMetrics;
  readonly placement: ClusterPlacement;
  readonly rounds: PlacementRounds;
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
    async drainNode({ nodeId }, { credential, signal }) {
      authorise(credential);
      const node = parts.membership.view(asNodeId(nodeId));
      if (!node) throw new Fault("resource_unknown", `the node ${nodeId} is not in the cluster`, { detail: { resource: nodeId } });
      await parts.rounds.drain(node, () => refresh(deps.clock, parts), signal);
      return {};
    },
  };
}

/** Goes by the newest reports, and shows what is wanted now. */
function refresh(clock: Clock, { membership, placement, rounds, feed }: Parts): void {
  placement.follow(membership.snapshot, clock.monotonic());
  membership.setPlan(rounds.plan());
  feed.changed();
}

/** Waits, or less when the signal aborts. */
async function pause(clock: Clock, waitMs: Millis, signal: AbortSignal): Promise<void> {
  await clock.after(waitMs, signal).catch((error: unknown) => {
    if (!signal.aborted) throw error;
  });
}

function takeReport(request: ReportRequest, stream: number, { clock, log }: SchedulerDeps, parts: Parts): void {
  const { membership, feed, metrics } = parts;
  try {
    const report = readReport(request);
    const verdict = membership.report(stream, report, clock.monotonic());
    if (verdict.kind === "rejected") throw new Fault("report_rejected", verdict.why, { detail: { resource: report.nodeId } });
    parts.placement.take(report, membership.view(report.nodeId)!, clock.monotonic());
  } catch (error) {
    const { reason, message } = toFault(error);
    metrics.reported("rejected");
    log.warn({ reason, nodeId: request.nodeId.slice(0, 80) }, message);
    throw error;
  }
  metrics.reported("accepted");
  feed.changed();
}
