import { availableParallelism } from "node:os";
import { join } from "node:path";
import { Fault, type Millis, SECOND } from "#kernel";
import { createAdminKey, type RouterDeps, type RunningRouter, startRouter } from "#router";
import { startScheduler } from "#scheduler/service";
import type { StateStore } from "#state";
import type { ComponentDeps } from "../component.ts";
import { prepareInProcess } from "../preparation/prepare-in-process.ts";
import { VERSION } from "../version.ts";
import { openBlobs } from "./blobs.ts";
import { CONSOLE_DIRECTORY } from "./console-directory.ts";
import type { Home } from "./home.ts";
import { startMetricsServer } from "./metrics-server.ts";
import { type NodeProcess, type NodeProcessOptions, startNodeProcess } from "./node-process.ts";
import { openStore } from "./store.ts";
import { startTrainerProcess, type TrainerProcess } from "./trainer-process.ts";

export interface EmbeddedClusterOptions {
  readonly nodeCount: number;
  readonly bases: readonly { readonly name: string; readonly directory: string }[];
  readonly httpPort: number;
  readonly grpcPort: number;
  readonly adminPort: number;
  readonly metricsPort: number;
  /** Threads of each node's engine. Default: the machine's cores shared out. */
  readonly threads?: number;
  /** Default: a file in the home. */
  readonly state?: string;
  /** Default: in the home. */
  readonly blobs?: string;
  /** Further ones of every node agent. */
  readonly nodeArguments?: readonly string[];
  /** See {@link RouterDeps}. */
  readonly wrapLedger?: RouterDeps["wrapLedger"];
}

/** A whole cluster on this machine: router and scheduler in this process, each node in its own. */
export interface EmbeddedCluster extends AsyncDisposable {
  readonly http: string;
  readonly grpcAddress: string;
  /** Of the administration's door. */
  readonly adminAddress: string;
  readonly metrics: string;
  readonly adminKey: string;
  readonly nodes: readonly NodeProcess[];
  readonly trainer: TrainerProcess;
}

const HOST = "127.0.0.1";
/** A large base takes a while to read and hash. */
const READY_MS_MAX: Millis = 300 * SECOND;

/** Starts everything in order and resolves when every node is ready to serve; `signal` ends the start, not the cluster. */
export async function startEmbeddedCluster(
  deps: ComponentDeps,
  home: Home,
  signal: AbortSignal,
  options: EmbeddedClusterOptions,
): Promise<EmbeddedCluster> {
  const running = home.runningCluster();
  if (running) throw new Fault("resource_exists", `a cluster already runs in ${home.directory} (process ${running.pid}, ${running.http})`);
  await using parts = new AsyncDisposableStack();
  const clusterKey = home.clusterKey();
  const store = parts.use(await openStore(options.state ?? `file:${home.path("state.db")}`, deps.log));
  const scheduler = parts.use(await startScheduler(deps, { listen: `${HOST}:0`, clusterKey }));
  const schedulers = [`${HOST}:${scheduler.port}`];
  const dataDirectory = home.path("router");
  const blobs = parts.use(await openBlobs(deps, options.blobs ?? `file:${dataDirectory}`, dataDirectory));
  const router = parts.use(
    await startRouter(
      { ...deps, store, blobs, prepareData: prepareInProcess, ...(options.wrapLedger && { wrapLedger: options.wrapLedger }) },
      {
        grpcListen: `${HOST}:${options.grpcPort}`,
        adminListen: `${HOST}:${options.adminPort}`,
        httpListen: `${HOST}:${options.httpPort}`,
        consoleDirectory: CONSOLE_DIRECTORY,
        schedulers,
        clusterKey,
        dataDirectory,
        version: VERSION,
      },
    ),
  );
  const metrics = parts.use(await startMetricsServer(deps.registry, { host: HOST, port: options.metricsPort }));
  const nodes = Array.from({ length: options.nodeCount }, (_, index) =>
    parts.use(startNodeProcess(deps, nodeOptions(`node-${index + 1}`, home, options, schedulers[0]!, router, metrics.port, index))),
  );
  const trainer = parts.use(startTrainerProcess(deps, home, router));
  await nodesReady(deps, router, nodes, options, home, signal);

  const cluster = {
    http: `http://${HOST}:${router.httpPort}`,
    grpcAddress: `${HOST}:${router.grpcPort}`,
    adminAddress: `${HOST}:${router.adminPort}`,
    metrics: `http://${HOST}:${metrics.port}/metrics`,
  };
  const adminKey = await keepAdminKey(deps, home, store);
  home.announce({ pid: process.pid, ...cluster });
  parts.defer(() => home.withdraw());
  const owned = parts.move();
  return { ...cluster, adminKey, nodes, trainer, [Symbol.asyncDispose]: () => owned.disposeAsync() };
}

function nodeOptions(
  id: string,
  home: Home,
  options: EmbeddedClusterOptions,
  scheduler: string,
  router: RunningRouter,
  metricsPort: number,
  index: number,
): NodeProcessOptions {
  const threads = options.threads ?? Math.max(1, Math.floor(availableParallelism() / options.nodeCount));
  const nodeMetricsPort = metricsPort === 0 ? 0 : metricsPort + 1 + index;
  const args = () => [
    ...["--id", id, "--listen", `${HOST}:0`, "--metrics-listen", `${HOST}:${nodeMetricsPort}`],
    ...["--cache-directory", home.path("nodes", id), "--cluster-key-file", home.path("cluster-key")],
    ...["--scheduler", scheduler, "--router", `${HOST}:${router.grpcPort}`, "--threads", String(threads)],
    ...["--notice-seconds", "0", "--streams-seconds", "10"], // All nodes stop together, and somebody waits at a terminal.
    ...(options.bases.length > 0 ? ["--base", ...options.bases.map((base) => `${base.name}=${base.directory}`)] : []),
    ...(options.nodeArguments ?? []),
  ];
  return { id, component: "node-agent", args, logFile: join(home.directory, "logs", `${id}.log`) };
}

/** Waits until the router has heard of every node ready with every base: from then on requests are served. */
async function nodesReady(
  deps: ComponentDeps,
  router: RunningRouter,
  nodes: readonly NodeProcess[],
  options: EmbeddedClusterOptions,
  home: Home,
  signal: AbortSignal,
) {
  const deadline = deps.clock.monotonic() + READY_MS_MAX;
  for (;;) {
    const ready = [...router.snapshot().nodes.values()].filter((node) => node.state === "ready" && node.bases.size >= options.bases.length);
    if (ready.length >= nodes.length) return;
    if (deps.clock.monotonic() > deadline) {
      throw new Fault("no_ready_node", `only ${ready.length} of ${nodes.length} nodes became ready; see ${home.path("logs")}`);
    }
    await deps.clock.after(50, signal);
  }
}

/** The operator's key: made at the first start, kept for the folder's owner. */
async function keepAdminKey(deps: ComponentDeps, home: Home, store: StateStore): Promise<string> {
  const keys = home.readKeys();
  if (keys) return keys.admin;
  const { text: admin } = await createAdminKey(store.records, deps);
  home.writeKeys({ admin, tenants: {} });
  return admin;
}
