import { once } from "node:events";
import type { Logger } from "pino";
import type { Registry } from "prom-client";
import { type Clock, deadlineSignal, type Millis, type Random, SECOND, type Snapshot } from "#kernel";
import type { StateStore } from "#state";
import type { QueueLimits, RequestSlotLimits } from "./admission/index.ts";
import type { DeltaFileLimits } from "./blobs/index.ts";
import type { InferenceCore } from "./contract.ts";
import type { FileLimits } from "./files/index.ts";
import type { JobLimits } from "./fine-tuning/index.ts";
import { keepKeyUses, type RandomSecret } from "./keys/index.ts";
import type { Ledger } from "./ledger/index.ts";
import { keepDesiredState } from "./models/index.ts";
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
  /** `host:port` of each scheduler replica. */
  readonly schedulers: readonly string[];
  /** What routers, schedulers and nodes show each other. */
  readonly clusterKey: string;
  /** Claims on their way to the ledger, the deltas' files, and what tenants upload. */
  readonly dataDirectory: string;
  readonly requestLimits?: RequestSlotLimits;
  /** Of requests that wait for a node. */
  readonly queueLimits?: QueueLimits;
  readonly deltaFileLimits?: DeltaFileLimits;
  readonly fileLimits?: FileLimits;
  readonly jobLimits?: JobLimits;
  /** How long running streams may go on after a drain has begun. */
  readonly drainMs?: Millis;
  /** Of the program, for `GetCluster`. */
  readonly version?: string;
}

export interface RunningRouter extends AsyncDisposable {
  readonly grpcPort: number;
  /** Undefined without administration. */
  readonly adminPort: number | undefined;
  /** Undefined without HTTP. */
  readonly httpPort: number | undefined;
  readonly core: InferenceCore;
  /** The cluster as this router last heard of it. */
  snapshot(): Snapshot;
  /** Whether a trainer has something to do. */
  jobsWaiting(): boolean;
  /** Not ready → no new requests → running streams end, or are cut after `drainMs` → claims delivered → closed. Idempotent. */
  drain(): Promise<void>;
}

/** An orchestrator usually grants 30 s from its signal to the kill. */
const DRAIN_MS: Millis = 20 * SECOND;
/** Writing a claim takes one sync of the disk, settling a limit one round trip to the store. */
const LAST_WORDS_MS_MAX: Millis = 2 * SECOND;

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
  const written = keepKeyUses(parts.keyUses, { clock, log, stopping: stopping.signal });
  doors.setServing();

  const opened = started.move();
  const close = async () => {
    await doors.drain(options.drainMs ?? DRAIN_MS);
    await lastWords(clock, parts);
    stopping.abort(); // Warming and dropping of deltas, of which nobody waits for the end.
    await Promise.all([desired, written]);
    await opened.disposeAsync();
  };
  let drained: Promise<void> | undefined;
  const drain = () => {
    serving = false;
    slots.close();
    parts.dispatcher.queue.close();
    drained ??= close();
    return drained;
  };
  const { grpcPort, adminPort, httpPort } = doors;
  const jobsWaiting = () => parts.fineTuning.jobs.waiting();
  return { grpcPort, adminPort, httpPort, core, snapshot, jobsWaiting, drain, [Symbol.asyncDispose]: drain };
}

/** Waits for streams that were cut to write what they came to, and to give back what they had taken. */
async function lastWords(clock: Clock, { slots, limits, idempotency }: RouterParts): Promise<void> {
  using limit = deadlineSignal(clock, LAST_WORDS_MS_MAX, () => "over");
  const said = slots.idle().then(() => Promise.all([limits.settled(), idempotency.settled()]));
  await Promise.race([said, once(limit.signal, "abort")]);
}
