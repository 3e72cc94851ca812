import type { Logger } from "pino";
import type { Registry } from "prom-client";
import type { BlobStore } from "#blobs";
import { type Addresses, type Clock, GRACE, type Grace, type Random, SECOND, type Snapshot, type Tracer, within } from "#kernel";
import type { CertificateSource } from "#proto";
import type { StateStore } from "#state";
import type { QueueLimits, RequestSlotLimits, WakeOptions } from "./admission/index.ts";
import type { BlobCollectionOptions, DeltaFileLimits } from "./blobs/index.ts";
import type { InferenceCore } from "./contract.ts";
import type { FileLimits } from "./files/index.ts";
import type { JobLimits, PrepareData } from "./fine-tuning/index.ts";
import { keepKeyUses, type RandomSecret } from "./keys/index.ts";
import type { Ledger } from "./ledger/index.ts";
import { keepDesiredState, rememberWokenBases } from "./models/index.ts";
import type { ClusterView, NodeTransport } from "./nodes/index.ts";
import { openDoors } from "./router-doors.ts";
import { openParts, type RouterParts } from "./router-parts.ts";

export interface RouterDeps {
  readonly clock: Clock;
  readonly random: Random;
  readonly randomSecret: RandomSecret;
  readonly log: Logger;
  /** Where the router's metrics go; two routers in one process need two. */
  readonly registry: Registry;
  /** Stays the caller's: it is not closed with the router. */
  readonly store: StateStore;
  /** Default: nothing is traced. */
  readonly tracer?: Tracer;
  /** Where deltas, files and checkpoints lie; routers of one cluster share it. Default: the data directory. Stays the caller's. */
  readonly blobs?: BlobStore;
  /** The trainer's checks of data, for `/v1/fine_tuning/preparations`; without them that is refused. */
  readonly prepareData?: PrepareData;
  /** Default: over gRPC. Given by who has the nodes in the same process. Becomes the router's. */
  readonly transport?: NodeTransport;
  /** Default: what the schedulers tell. Becomes the router's. */
  readonly cluster?: ClusterView;
  /** Puts something between this router and its ledger: for who measures what that costs. */
  readonly wrapLedger?: (ledger: Ledger) => Ledger;
}

export interface RouterOptions {
  /** `host:port`; port 0 takes a free one. */
  readonly grpcListen: string;
  /** Likewise, for operators only; no administration when absent. */
  readonly adminListen?: string;
  /** Likewise; no HTTP when absent. */
  readonly httpListen?: string;
  /** Of the built page that the HTTP door serves at `/`; none when absent. */
  readonly consoleDirectory?: string;
  /** Of the scheduler replicas. */
  readonly schedulers: Addresses;
  /** What routers, schedulers and nodes show each other. */
  readonly clusterKey: string;
  /** Between the parts of the cluster; in the clear when absent. */
  readonly tls?: CertificateSource;
  /** Like `grpcListen`, for the cluster's own parts only, who then come through no other door. Default: they come through that one. */
  readonly clusterListen?: string;
  /** Of the doors for customers and operators; in the clear when absent. */
  readonly publicTls?: CertificateSource;
  /** Claims on their way to the ledger, the deltas' files, and what tenants upload. */
  readonly dataDirectory: string;
  readonly requestLimits?: RequestSlotLimits;
  /** Of requests that wait for a node. */
  readonly queueLimits?: QueueLimits;
  /** Bases that may have no node; requests for them wait until one comes up. Default: none. */
  readonly wake?: WakeOptions;
  readonly deltaFileLimits?: DeltaFileLimits;
  readonly fileLimits?: FileLimits;
  /** Of blobs that no record knows. */
  readonly blobCollection?: BlobCollectionOptions;
  readonly jobLimits?: JobLimits;
  /** How long each step of a drain may take. Default: of a program that somebody waits for at a terminal. */
  readonly grace?: DrainGrace;
  /** Of the program, for `GetCluster`. */
  readonly version?: string;
}

export interface RunningRouter extends AsyncDisposable {
  readonly grpcPort: number;
  /** Undefined without administration. */
  readonly adminPort: number | undefined;
  /** Undefined without HTTP. */
  readonly httpPort: number | undefined;
  /** Undefined without a door of their own for the cluster's parts. */
  readonly clusterPort: number | undefined;
  readonly core: InferenceCore;
  /** The cluster as this router last heard of it. */
  snapshot(): Snapshot;
  /** Whether a trainer has something to do. */
  jobsWaiting(): boolean;
  /** Whether new requests should come here: it knows the cluster, and does not drain. */
  ready(): boolean;
  /** Not ready → no new requests → running streams end, or are cut → claims delivered → closed: docs/drain.md. Idempotent. */
  drain(): Promise<void>;
}

export type DrainGrace = Omit<Grace, "closeMs">;

const GRACE_AT_A_TERMINAL: DrainGrace = { ...GRACE.router, noticeMs: 0, streamsMs: 20 * SECOND };

/** Starts a router: everything between a client's request and the nodes. */
export async function startRouter(deps: RouterDeps, options: RouterOptions): Promise<RunningRouter> {
  const { clock, log } = deps;
  await using started = new AsyncDisposableStack();
  const stopping = new AbortController();
  let serving = true;
  const parts = await openParts(deps, options, started, { serving: () => serving, stopping: stopping.signal });
  const { core, models, snapshot, slots } = parts;
  const doors = await openDoors(deps, options, started, parts);
  const desired = keepDesiredState(models, snapshot);
  const remembered = rememberWokenBases(models, (base) => parts.room.wakes(base));
  const written = keepKeyUses(parts.keyUses, { clock, log, stopping: stopping.signal });
  doors.setServing(true);

  const opened = started.move();
  const { noticeMs, streamsMs, cutMs, settleMs } = options.grace ?? GRACE_AT_A_TERMINAL;
  const close = async () => {
    if (noticeMs > 0) await clock.after(noticeMs);
    slots.close();
    parts.fineTuning.jobs.close(); // They may go on for hours, and lose nothing by going on elsewhere.
    await doors.drain(streamsMs);
    parts.dispatcher.queue.close();
    await within(clock, cutMs, lastWords(parts));
    stopping.abort(); // Warming and dropping of deltas, of which nobody waits for the end.
    await Promise.all([desired, remembered, written]);
    await within(clock, settleMs, parts.outbox.flush());
    await opened.disposeAsync();
  };
  let drained: Promise<void> | undefined;
  const drain = () => {
    serving = false;
    doors.setServing(false);
    drained ??= close();
    return drained;
  };
  const { grpcPort, adminPort, httpPort, clusterPort } = doors;
  const jobsWaiting = () => parts.fineTuning.jobs.waiting();
  const ready = () => serving && parts.cluster.ageMs() !== undefined;
  return { grpcPort, adminPort, httpPort, clusterPort, core, snapshot, jobsWaiting, ready, drain, [Symbol.asyncDispose]: drain };
}

/** Resolves when streams that were cut have written what they came to, and given back what they had taken. */
async function lastWords({ slots, limits, idempotency }: RouterParts): Promise<void> {
  await slots.idle();
  await Promise.all([limits.close(), idempotency.settled()]);
}
