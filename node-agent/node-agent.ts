import { join } from "node:path";
import type { Logger } from "pino";
import type { Registry } from "prom-client";
import {
  type Addresses,
  asNodeId,
  type Bytes,
  type ClaimOutbox,
  type Clock,
  type Component,
  type Fault,
  followPeers,
  MIB,
  NO_TRACER,
  type NodeState,
  type Random,
  startClaimOutbox,
  type Tokens,
  type Tracer,
} from "#kernel";
import type { BaseInfo, Checkpoint } from "#model";
import {
  type CertificateSource,
  type GrpcChannel,
  type Handlers,
  implement,
  NodeServiceService,
  openClusterChannel,
  type RunningGrpcServer,
  startGrpcServer,
} from "#proto";
import { ActiveWork } from "./active-work.ts";
import { AGENT_GRACE, type AgentGrace, type AgentStopDeps, stopAgent } from "./agent-stop.ts";
import { BaseHost, type BaseHostDeps, type EngineFactory } from "./base-host.ts";
import { createCacheMetrics } from "./cache-metrics.ts";
import { ChangeBell } from "./change-bell.ts";
import { createClaimDelivery } from "./claim-delivery.ts";
import {
  createGrpcOrigin,
  createPeerFetch,
  type DeltaCache,
  type DeltaCacheOptions,
  openDeltaCache,
  openDeltaLoader,
  RAM_BYTES_MAX,
} from "./delta-cache/index.ts";
import { DeltaDemand } from "./delta-demand.ts";
import { type Compute, DEFAULT_COMPUTE, draftTokensFor, engineOptions, type RunnerLimits, startEngineProcess } from "./engine/index.ts";
import { type EngineBudget, engineLimits } from "./engine-limits.ts";
import { createLossCounter, registerEngineMetrics } from "./engine-metrics.ts";
import type { GenerationObserver } from "./generation/index.ts";
import { HostedBases } from "./hosted-bases.ts";
import { LeaderFence } from "./leader-fence.ts";
import { createMemoryLedger, foreseeMemory, type MemoryRoom } from "./memory-budget.ts";
import { createNodeMetrics, observers } from "./metrics.ts";
import { createNodeService } from "./node-service.ts";
import { registerPrefixMetrics } from "./prefix-metrics.ts";
import { startReporter } from "./reporter.ts";
import { registerSpeculationMetrics } from "./speculation-metrics.ts";
import { createVllmMetrics } from "./vllm-metrics.ts";

export interface NodeAgentDeps {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
  /** Of this agent alone: two agents in one process need two. */
  readonly registry: Registry;
  /** Default: nothing is traced. */
  readonly tracer?: Tracer;
  /** Default: ONNX Runtime in a process of its own. */
  readonly startEngine?: EngineFactory;
  /** Where the base that a location names lies on this machine, fetched if it has to be. Default: a location is a folder. */
  readonly openBaseFolder?: (location: string) => Promise<string>;
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
  /** Between the parts of the cluster; in the clear when absent. */
  readonly tls?: CertificateSource;
  /** All of them get reports. */
  readonly schedulers: Addresses;
  /** Where deltas come from and claims go, tried in this order. */
  readonly routers: Addresses;
  /** Of each engine's kernels. */
  readonly threads: number;
  /** What the engines compute with. Default: float32 on the processor. */
  readonly compute?: Compute;
  /** What that is called, for people: the name of a device. Default: the provider's. */
  readonly device?: string;
  /** What engines may hold where they compute. Default: nobody looks. */
  readonly memory?: MemoryRoom;
  /** See {@link engineLimits}. */
  readonly engine?: EngineBudget;
  /** Of prompts in one step, beside the rows that decode. Default: what a tenth of a second is enough for; see {@link engineOptions}. */
  readonly prefillTokensMax?: Tokens;
  /** Of the cache, for what ended texts have computed; see {@link engineOptions}. */
  readonly prefixShare?: number;
  /** That a row may try in a step beyond its next one, while few rows run; 0 is off. Default: see {@link draftTokensFor}. */
  readonly draftTokensMax?: Tokens;
  /** Budgets; see {@link DeltaCacheOptions} for the defaults and their reasons. */
  readonly deltas?: Omit<DeltaCacheOptions, "directory">;
  /** How long each step of a stop may take. */
  readonly grace?: AgentGrace;
  /** Part of every fingerprint. Default: {@link ENGINE_VERSION}. */
  readonly engineVersion?: string;
}

export interface RunningNodeAgent extends AsyncDisposable {
  readonly port: number;
  /** Whether new work should come here: the engines of all its bases run, and it does not drain. */
  ready(): boolean;
  /** No new work from now on; resolves when the running work is done. The agent stays, and reports that it drains. Idempotent. */
  drain(): Promise<void>;
}

/** Changes whenever an equal request may give another text: the graphs, the sampler or the runtime. */
const ENGINE_VERSION = "deltaplane-1+onnxruntime-1.30";

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
  const open = (to: Component) => (address: string) => openClusterChannel(clock, options, to, address);
  const routers = starting.use(followPeers(options.routers, open("router")));
  const claims = starting.use(
    await startClaimOutbox({ clock, log }, { file: join(options.cacheDirectory, "claims"), deliver: createClaimDelivery(routers) }),
  );
  const deltas = starting.use(await openDeltas(deps, options, routers));
  const demand = new DeltaDemand(clock);
  const bases = starting.use(createBases(deps, options, { deltas, demand, changes }));
  registerPrefixMetrics(deps.registry, bases);
  registerSpeculationMetrics(deps.registry, bases);
  registerEngineMetrics(deps.registry, bases, enginePlace(options));
  for (const { name, directory } of options.bases) await bases.attach(name, directory);
  const generation = {
    clock,
    random: deps.random,
    claims,
    nodeId,
    observer: createObserver(deps, bases, deltas, claims),
    tracer: deps.tracer ?? NO_TRACER,
  };
  const service = createNodeService({ generation, bases, deltas, work, fence: new LeaderFence(log), clusterKey: options.clusterKey });
  const server = starting.use(await startServer(deps, options, service));
  const report = {
    nodeId,
    address: options.advertise ?? reachableAddress(options.listen, server.port),
    epoch: deps.random.bits().toString(16),
    state: (): NodeState => (work.draining ? "draining" : "ready"),
  };
  const reporting = { clock, log, bases, residency: deltas.residency, demand, changes };
  const openScheduler = open("scheduler");
  const schedulers = starting.use(
    followPeers(options.schedulers, (address) => {
      const channel = openScheduler(address);
      return reportedTo(channel, startReporter(reporting, { ...report, scheduler: channel }));
    }),
  );
  server.setServing(true);
  changes.listen(() => server.setServing(!work.draining));
  return runningAgent({ clock, log, nodeId, schedulers, work, changes, server, claims }, options, bases, starting.move());
}

function runningAgent(deps: AgentStopDeps, options: NodeAgentOptions, bases: HostedBases, parts: AsyncDisposableStack): RunningNodeAgent {
  const { server, work } = deps;
  let stopped: Promise<void> | undefined;
  const stop = async () => {
    await stopAgent(deps, options.grace ?? AGENT_GRACE);
    await parts[Symbol.asyncDispose]();
  };
  return {
    port: server.port,
    ready: () => !work.draining && bases.all().filter(({ engineLoad }) => engineLoad !== undefined).length >= options.bases.length,
    drain: () => work.drain(),
    [Symbol.asyncDispose]: () => {
      stopped ??= stop();
      return stopped;
    },
  };
}

/** The channel to a scheduler, whose reports end before it does. */
function reportedTo(channel: GrpcChannel, reporter: AsyncDisposable): GrpcChannel {
  return {
    ...channel,
    async [Symbol.asyncDispose]() {
      await reporter[Symbol.asyncDispose]();
      await channel[Symbol.asyncDispose]();
    },
  };
}

async function openDeltas(
  { clock, registry }: NodeAgentDeps,
  options: NodeAgentOptions,
  routers: Iterable<GrpcChannel>,
): Promise<DeltaCache> {
  let cache: DeltaCache | undefined;
  const observer = createCacheMetrics(registry, () => cache);
  cache = await openDeltaCache(
    {
      ...{ clock, origin: createGrpcOrigin(routers), loader: openDeltaLoader(LOADING_THREADS), observer },
      fetchFromPeer: createPeerFetch(clock, (address) => openClusterChannel(clock, options, "node-agent", address)),
    },
    { ...options.deltas, directory: join(options.cacheDirectory, "deltas") },
  );
  return cache;
}

function createBases(
  deps: NodeAgentDeps,
  options: NodeAgentOptions,
  parts: Pick<BaseHostDeps, "deltas" | "demand" | "changes">,
): HostedBases {
  const { clock, log } = deps;
  const { prefillTokensMax, prefixShare, draftTokensMax, threads, compute = DEFAULT_COMPUTE } = options;
  const steps = {
    ...(prefillTokensMax !== undefined && { prefillTokensMax }),
    ...(prefixShare !== undefined && { prefixShare }),
    draftTokensMax: draftTokensMax ?? draftTokensFor(compute),
  };
  const startEngine: EngineFactory =
    deps.startEngine ?? ((base) => startEngineProcess({ clock }, { ...base, threads, engine: steps, compute }));
  const limits = (base: BaseInfo) => engineLimits(base, options.engine, compute);
  const ledger = options.memory && createMemoryLedger(options.memory, compute, options.deltas?.ramBytesMax ?? RAM_BYTES_MAX);
  const reserve = (checkpoint: Checkpoint, limits: RunnerLimits): Disposable => {
    const { prefillTokensMax } = engineOptions(checkpoint.info, steps);
    return ledger?.reserve(checkpoint.info.name, foreseeMemory({ checkpoint, limits, compute, prefillTokensMax })) ?? new DisposableStack();
  };
  const engineVersion = options.engineVersion ?? ENGINE_VERSION;
  const hosting = { clock, log, startEngine, engineLost: createLossCounter(deps.registry), ...parts };
  const start = async (base: { readonly name: string; readonly directory: string }) => {
    const folder = (await deps.openBaseFolder?.(base.directory)) ?? base.directory;
    return await BaseHost.start(hosting, { ...base, folder, compute, place: enginePlace(options), limits, reserve, engineVersion });
  };
  return new HostedBases(start, () => parts.changes.ring());
}

/** Where this node's engines compute, for people. */
function enginePlace({ device, compute = DEFAULT_COMPUTE, memory }: NodeAgentOptions) {
  return { device: device ?? compute.provider, room: memory };
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
    if (fault.code === "internal") log.error({ path, err: fault }, "a call ended in a defect");
  };
  return startGrpcServer({
    listen: options.listen,
    clock,
    ...(options.tls && { tls: { kind: "mutual", certificate: options.tls } }),
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
