import { once } from "node:events";
import { join } from "node:path";
import type { Logger } from "pino";
import type { Registry } from "prom-client";
import { type Clock, deadlineSignal, type Millis, parseAddress, type Random, SECOND, type Snapshot, startClaimOutbox } from "#kernel";
import type { StateStore } from "#state";
import { type DeltaFileLimits, openDeltaFiles } from "./blobs/index.ts";
import { BaseDirectory, startCatalog } from "./catalog/index.ts";
import type { InferenceCore } from "./contract.ts";
import { createInferenceCore, Dispatcher, REQUEST_SLOT_LIMITS, type RequestSlotLimits, RequestSlots } from "./generation/index.ts";
import { startGrpcDoor } from "./grpc/index.ts";
import { startHttpServer } from "./http/index.ts";
import type { RandomSecret } from "./keys/index.ts";
import { createRouterMetrics } from "./metrics.ts";
import { keepDesiredState, type ModelDeps } from "./models/index.ts";
import { type ClusterView, type NodeTransport, openGrpcTransport, startClusterView } from "./nodes/index.ts";

export interface RouterDeps {
  readonly clock: Clock;
  readonly random: Random;
  readonly randomSecret: RandomSecret;
  readonly log: Logger;
  /** Where the router's metrics go; two routers in one process need two. */
  readonly registry: Registry;
  /** Stays the caller's: it is not closed with the router. */
  readonly store: StateStore;
  /** Default: over gRPC. Given by who has the nodes in the same process. Becomes the router's. */
  readonly transport?: NodeTransport;
  /** Default: what the schedulers tell. Becomes the router's. */
  readonly cluster?: ClusterView;
}

export interface RouterOptions {
  /** `host:port`; port 0 takes a free one. */
  readonly grpcListen: string;
  /** Likewise; no HTTP when absent. */
  readonly httpListen?: string;
  /** `host:port` of each scheduler replica. */
  readonly schedulers: readonly string[];
  /** What routers, schedulers and nodes show each other. */
  readonly clusterKey: string;
  /** Claims on their way to the ledger, and the deltas' files. */
  readonly dataDirectory: string;
  readonly requestLimits?: RequestSlotLimits;
  readonly deltaFileLimits?: DeltaFileLimits;
  /** How long running streams may go on after a drain has begun. */
  readonly drainMs?: Millis;
  /** Of the program, for `GetCluster`. */
  readonly version?: string;
}

export interface RunningRouter extends AsyncDisposable {
  readonly grpcPort: number;
  /** Undefined without HTTP. */
  readonly httpPort: number | undefined;
  readonly core: InferenceCore;
  /** The cluster as this router last heard of it. */
  snapshot(): Snapshot;
  /** Not ready → no new requests → running streams end, or are cut after `drainMs` → claims delivered → closed. Idempotent. */
  drain(): Promise<void>;
}

/** An orchestrator usually grants 30 s from its signal to the kill. */
const DRAIN_MS: Millis = 20 * SECOND;
/** Writing a claim takes one sync of the disk. */
const LAST_CLAIMS_MS_MAX: Millis = 2 * SECOND;

/** Starts a router: everything between a client's request and the nodes. */
export async function startRouter(deps: RouterDeps, options: RouterOptions): Promise<RunningRouter> {
  const { clock, log, random, store } = deps;
  await using started = new AsyncDisposableStack();
  const stopping = new AbortController();
  let serving = true;

  const transport = started.use(deps.transport ?? openGrpcTransport({ clock }, options));
  const onSnapshot = (snapshot: Snapshot) => transport.keepOnly(snapshot);
  const cluster = started.use(deps.cluster ?? startClusterView({ clock, onSnapshot }, options));
  const catalog = started.use(await startCatalog({ records: store.records, clock, log }));
  const files = await openDeltaFiles(deps, {
    directory: join(options.dataDirectory, "deltas"),
    ...(options.deltaFileLimits && { limits: options.deltaFileLimits }),
  });
  const deliver = async (claims: Parameters<StateStore["ledger"]["post"]>[0]) => void (await store.ledger.post(claims));
  const outbox = started.use(await startClaimOutbox({ clock, log }, { file: join(options.dataDirectory, "claims"), deliver }));

  const slots = new RequestSlots(options.requestLimits ?? REQUEST_SLOT_LIMITS);
  const metrics = createRouterMetrics(deps.registry, { claimsPending: () => outbox.pending, queueDepth: () => slots.waiting });
  const names = { view: catalog.view, bases: new BaseDirectory(catalog.view, () => cluster.snapshot) };
  const snapshot = () => cluster.snapshot;
  const dispatcher = new Dispatcher({ clock, random, transport, snapshot, onDecision: (reason) => metrics.placementDecided(reason) });
  const ready = () => serving && hasReadyNode(cluster.snapshot);
  const core = createInferenceCore({ clock, random, log, names, slots, dispatcher, outbox, metrics, ready });

  const models: ModelDeps = { clock, log, catalog, names, files, dispatcher, stopping: stopping.signal };
  const grpc = await startGrpcDoor(
    {
      ...{ ...models, core, snapshot, cluster },
      randomSecret: deps.randomSecret,
      ledger: store.ledger,
      authenticate: core.authenticate,
      clusterKey: options.clusterKey,
      requestsRunning: () => slots.running,
      claimsPending: () => outbox.pending,
      version: options.version ?? "",
    },
    { listen: options.grpcListen },
  );
  started.use(grpc); // Closed first should the next step fail; after a drain there is nothing left to close.
  const http = options.httpListen === undefined ? undefined : await startHttpServer({ core, clock, log }, parseAddress(options.httpListen));
  const desired = keepDesiredState(models, snapshot);
  grpc.setServing(true);

  const parts = started.move();
  const close = async () => {
    const graceMs = options.drainMs ?? DRAIN_MS;
    await Promise.all([grpc.drain(graceMs), http?.drain(graceMs)]);
    await lastClaims(clock, slots);
    stopping.abort(); // Warming and dropping of deltas, of which nobody waits for the end.
    await desired;
    await parts.disposeAsync();
  };
  let drained: Promise<void> | undefined;
  const drain = () => {
    serving = false;
    slots.close();
    drained ??= close();
    return drained;
  };
  return { grpcPort: grpc.port, httpPort: http?.port, core, snapshot, drain, [Symbol.asyncDispose]: drain };
}

/** Waits for streams that were cut to write what they came to. */
async function lastClaims(clock: Clock, slots: RequestSlots): Promise<void> {
  using limit = deadlineSignal(clock, LAST_CLAIMS_MS_MAX, () => "over");
  await Promise.race([slots.idle(), once(limit.signal, "abort")]);
}

function hasReadyNode(snapshot: Snapshot): boolean {
  for (const node of snapshot.nodes.values()) if (node.state === "ready" && node.bases.size > 0) return true;
  return false;
}
