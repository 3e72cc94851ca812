import { join } from "node:path";
import type { Logger } from "pino";
import type { Registry } from "prom-client";
import {
  asNodeId,
  type Bytes,
  type ClaimOutbox,
  type Clock,
  deadlineSignal,
  Fault,
  MIB,
  type Millis,
  type NodeState,
  type Random,
  SECOND,
  startClaimOutbox,
  type Tokens,
} from "#kernel";
import type { BaseInfo } from "#model";
import {
  CLUSTER_KEEPALIVE,
  type GrpcChannel,
  type Handlers,
  implement,
  NodeServiceService,
  openChannel,
  type RunningGrpcServer,
  startGrpcServer,
} from "#proto";
import { ActiveWork } from "./active-work.ts";
import { BaseHost, type EngineFactory } from "./base-host.ts";
import { createCacheMetrics } from "./cache-metrics.ts";
import { ChangeBell } from "./change-bell.ts";
import { createClaimDelivery } from "./claim-delivery.ts";
import { createGrpcOrigin, type DeltaCache, type DeltaCacheOptions, openDeltaCache, openDeltaLoader } from "./delta-cache/index.ts";
import { startEngineProcess } from "./engine/process/index.ts";
import { type EngineBudget, engineLimits } from "./engine-limits.ts";
import type { GenerationObserver } from "./generation/index.ts";
import { HostedBases } from "./hosted-bases.ts";
import { createNodeMetrics, observers } from "./metrics.ts";
import { createNodeService } from "./node-service.ts";
import { startReporter } from "./reporter.ts";
import { createVllmMetrics } from "./vllm-metrics.ts";

export interface NodeAgentDeps {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
  /** Of this agent alone: two agents in one process need two. */
  readonly registry: Registry;
  /** Default: ONNX Runtime in a process of its own. */
  readonly startEngine?: EngineFactory;
}

export interface NodeAgentOptions {
  /** Unique in the cluster. */
  readonly id: string;
  /** `host:port` of NodeService; port 0 takes a free one. */
  readonly listen: string;
  /** How routers reach it. Default: what it listens on; loopback when that is every address. */
  readonly advertise?: string;
  readonly bases: readonly { readonly name: string; readonly directory: string }[];
  /** Deltas on disk, claims on their way. */
  readonly cacheDirectory: string;
  readonly clusterKey: string;
  /** `host:port` each; all of them get reports. */
  readonly schedulers: readonly string[];
  /** `host:port` each; where deltas come from and claims go, tried in this order. */
  readonly routers: readonly string[];
  /** Of each engine's kernels. */
  readonly threads: number;
  /** See {@link engineLimits}. */
  readonly engine?: EngineBudget;
  /** Of prompts in one step, beside the rows that decode. Default: what a tenth of a second is enough for; see {@link engineOptions}. */
  readonly prefillTokensMax?: Tokens;
  /** Budgets; see {@link DeltaCacheOptions} for the defaults and their reasons. */
  readonly deltas?: Omit<DeltaCacheOptions, "directory">;
  /** How long a stop waits for running requests. Default 30 s: the longest answer at a comfortable pace. */
  readonly drainMsMax?: Millis;
  /** Part of every fingerprint. Default: {@link ENGINE_VERSION}. */
  readonly engineVersion?: string;
}

export interface RunningNodeAgent extends AsyncDisposable {
  readonly port: number;
  /** No new work from now on; resolves when the running work is done. The agent stays, and reports that it drains. Idempotent. */
  drain(): Promise<void>;
}

/** Changes whenever an equal request may give another text: the graphs, the sampler or the runtime. */
export const ENGINE_VERSION = "deltaplane-1+onnxruntime-1.30";

const DRAIN_MS_MAX: Millis = 30 * SECOND;
/** From the end of a drain's patience to the cut: requests write their claims in it. */
const CUT_MS: Millis = 2 * SECOND;
/** The log-probabilities of a whole context with 20 alternatives each. */
const MESSAGE_BYTES_MAX: Bytes = 16 * MIB;
/** One thread reads about a gigabyte of deltas per second; a second one would take a core from the engine. */
const LOADING_THREADS = 1;

/** Starts a node agent: it is ready, and reports, when this resolves. @throws Faults of a base's files; parameter_invalid for the address. */
export async function startNodeAgent(deps: NodeAgentDeps, options: NodeAgentOptions): Promise<RunningNodeAgent> {
  await using starting = new AsyncDisposableStack();
  const { clock, log } = deps;
  const nodeId = asNodeId(options.id);
  const changes = new ChangeBell();
  const work = new ActiveWork(() => changes.ring());
  const routers = openChannels(options.routers, options, clock, starting);
  const schedulers = openChannels(options.schedulers, options, clock, starting);
  const claims = starting.use(
    await startClaimOutbox({ clock, log }, { file: join(options.cacheDirectory, "claims"), deliver: createClaimDelivery(routers) }),
  );
  const deltas = starting.use(await openDeltas(deps, options, routers));
  const bases = starting.use(createBases(deps, options, deltas, changes));
  for (const { name, directory } of options.bases) await bases.attach(name, directory);
  const generation = { clock, random: deps.random, claims, nodeId, observer: createObserver(deps, bases, deltas, claims) };
  const service = createNodeService({ generation, bases, deltas, work, clusterKey: options.clusterKey });
  const server = starting.use(await startServer(deps, options, service));
  const report = {
    nodeId,
    address: options.advertise ?? reachableAddress(options.listen, server.port),
    epoch: deps.random.bits().toString(16),
    schedulers,
    state: (): NodeState => (work.draining ? "draining" : "ready"),
  };
  starting.use(startReporter({ clock, log, bases, residency: deltas.residency, changes }, report));
  server.setServing(true);
  changes.listen(() => server.setServing(!work.draining));
  return runningAgent(clock, options.drainMsMax ?? DRAIN_MS_MAX, server, work, starting.move());
}

/** Stop is drain: refuse new work, let running work end, cut what is left, then take the parts apart in reverse. */
function runningAgent(
  clock: Clock,
  drainMsMax: Millis,
  server: RunningGrpcServer,
  work: ActiveWork,
  parts: AsyncDisposableStack,
): RunningNodeAgent {
  let stopped: Promise<void> | undefined;
  const stop = async () => {
    await within(clock, drainMsMax, work.drain());
    await server.drain(CUT_MS);
    await within(clock, CUT_MS, work.drain());
    await parts[Symbol.asyncDispose]();
  };
  return {
    port: server.port,
    drain: () => work.drain(),
    [Symbol.asyncDispose]: () => {
      stopped ??= stop();
      return stopped;
    },
  };
}

function openChannels(addresses: readonly string[], options: NodeAgentOptions, clock: Clock, owner: AsyncDisposableStack): GrpcChannel[] {
  return addresses.map((address) => owner.use(openChannel({ address, credential: options.clusterKey, clock, ...CLUSTER_KEEPALIVE })));
}

async function openDeltas(
  { clock, registry }: NodeAgentDeps,
  options: NodeAgentOptions,
  routers: readonly GrpcChannel[],
): Promise<DeltaCache> {
  let cache: DeltaCache | undefined;
  const observer = createCacheMetrics(registry, () => cache);
  cache = await openDeltaCache(
    { clock, origin: createGrpcOrigin(routers), loader: openDeltaLoader(LOADING_THREADS), observer },
    { ...options.deltas, directory: join(options.cacheDirectory, "deltas") },
  );
  return cache;
}

function createBases(deps: NodeAgentDeps, options: NodeAgentOptions, deltas: DeltaCache, changes: ChangeBell): HostedBases {
  const { clock, log } = deps;
  const { prefillTokensMax } = options;
  const steps = prefillTokensMax === undefined ? {} : { prefillTokensMax };
  const startEngine: EngineFactory =
    deps.startEngine ?? ((base) => startEngineProcess({ clock }, { ...base, threads: options.threads, engine: steps }));
  const limits = (base: BaseInfo) => engineLimits(base, options.engine);
  const engineVersion = options.engineVersion ?? ENGINE_VERSION;
  const start = (base: { readonly name: string; readonly directory: string }) =>
    BaseHost.start({ clock, log, deltas, startEngine, changes }, { ...base, limits, engineVersion });
  return new HostedBases(start, () => changes.ring());
}

function createObserver(
  { clock, registry }: NodeAgentDeps,
  bases: HostedBases,
  deltas: DeltaCache,
  claims: Pick<ClaimOutbox, "pending">,
): GenerationObserver {
  const own = createNodeMetrics(registry, bases, { claimsPending: () => claims.pending });
  return observers([own, createVllmMetrics(registry, clock, bases, deltas.residency)]);
}

function startServer(
  { clock, log }: NodeAgentDeps,
  options: NodeAgentOptions,
  service: Handlers<typeof NodeServiceService>,
): Promise<RunningGrpcServer> {
  const onFault = (fault: Fault, path: string) => {
    if (fault.code === "internal") log.error({ path, error: fault, cause: fault.cause }, "a call ended in a defect");
  };
  return startGrpcServer({
    listen: options.listen,
    clock,
    messageBytesMax: MESSAGE_BYTES_MAX,
    services: [
      {
        name: "deltaplane.v1.NodeService",
        definition: NodeServiceService,
        implementation: implement(NodeServiceService, service, { clock, onFault }),
      },
    ],
  });
}

/** `listen` with the port that was taken; every address becomes loopback: a cluster over machines says what it advertises. */
function reachableAddress(listen: string, port: number): string {
  const host = listen.slice(0, listen.lastIndexOf(":"));
  return `${host === "0.0.0.0" || host === "[::]" ? "127.0.0.1" : host}:${port}`;
}

/** Waits for `work`, at most `waitMs`: the caller then goes on without it. */
async function within(clock: Clock, waitMs: Millis, work: Promise<void>): Promise<void> {
  using deadline = deadlineSignal(clock, waitMs, () => new Fault("deadline_passed", "the running work did not end in time"));
  await Promise.race([work, new Promise<void>((resolve) => deadline.signal.addEventListener("abort", () => resolve(), { once: true }))]);
}
