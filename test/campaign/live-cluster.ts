import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { type Component, systemClock } from "#kernel";
import { AdminServiceService, type GrpcChannel, openChannel } from "#proto";
import { freePort } from "../../state/redis/testing/free-port.ts";
import { type Death, type KeptProcess, keepProcess } from "./kept-process.ts";
import {
  issueCertificates,
  type LiveNode,
  type LiveRouter,
  type LiveScheduler,
  startNode,
  startRouter,
  startScheduler,
} from "./live-parts.ts";
import { Hopeless, waitUntil } from "./patience.ts";
import { scrape } from "./prometheus-text.ts";
import { keepRedisServer } from "./redis-server.ts";

/** A cluster whose every part is a process of its own, kept alive whoever kills it. */
export interface LiveCluster extends AsyncDisposable {
  readonly folder: string;
  readonly schedulers: readonly LiveScheduler[];
  readonly routers: readonly LiveRouter[];
  readonly nodes: readonly LiveNode[];
  /** Undefined with the embedded store. */
  readonly redis: KeptProcess | undefined;
  readonly adminKey: string;
  /** The secret of the cluster's own parts. */
  readonly clusterKey: string;
  /** To the first router's door for operators, and to its usual one, both with the operator's key. */
  readonly admin: GrpcChannel;
  readonly operator: GrpcChannel;
  /** A channel that the cluster closes at its end. */
  channel(address: string, credential: string): GrpcChannel;
  /** Runs `deltaplane …` as the operator, against the first router. */
  command(...args: string[]): Promise<CommandResult>;
  /** Resolves when every router and every node serves. */
  healed(): Promise<void>;
  /** Resolves when nothing runs and every claim of routers and nodes is in the ledger. */
  quiet(): Promise<void>;
  /** Processes that ended although nobody killed them. */
  deaths(): readonly Death[];
}

export interface CommandResult {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface LiveClusterOptions {
  readonly store: "redis" | "embedded";
  /** Of the ports. */
  readonly seed: number;
  readonly schedulers?: number;
  readonly routers?: number;
  readonly nodes?: number;
  /** Of each engine. */
  readonly threads?: number;
  /** In a batch of an engine. Default: the node agent's own. */
  readonly rows?: number;
  /** Of prompts in a step of an engine. Default: the node agent's own. */
  readonly prefillTokens?: number;
  /** Mutual TLS between the parts. */
  readonly tls?: boolean;
  /** How long a router that is stopped takes what still comes, and a node waits for copies. Default: not at all. */
  readonly noticeSeconds?: number;
  /** Nodes run below everyone else: for figures on a machine of which they have the rest, not beside other tests. */
  readonly nodesYield?: boolean;
}

/** A node has a machine of its own; here its engine must not take the core that a router or a client waits for. */
const NODE_NICENESS = 10;
const MAIN = join(import.meta.dirname, "../../cli/main.ts");
const HOST = "127.0.0.1";
const READY_MS_MAX = 60_000;
/** Outboxes retry at most 10 s apart; a batch may have to wait for a second one. */
const QUIET_MS_MAX = 60_000;

/** Starts everything and resolves when it serves. */
export async function startLiveCluster(options: LiveClusterOptions): Promise<LiveCluster> {
  await using starting = new AsyncDisposableStack();
  const folder = mkdtempSync(join(tmpdir(), "deltaplane-live-"));
  starting.defer(() => rmSync(folder, { recursive: true, force: true }));
  const address = async () => `${HOST}:${await freePort()}`;
  const clusterKey = "a-secret-that-the-parts-share";
  writeFileSync(join(folder, "key"), clusterKey);

  const redisPort = await freePort();
  const redis = options.store === "redis" ? starting.use(keepRedisServer(folder, redisPort)) : undefined;
  const state = redis ? `redis://${HOST}:${redisPort}` : `file:${join(folder, "state.db")}`;
  const component = (name: string, kind: Component, ...args: readonly string[]): KeptProcess =>
    starting.use(
      keepProcess({
        name,
        ...niced(kind === "node-agent" && options.nodesYield === true, [
          process.execPath,
          MAIN,
          kind,
          "--cluster-key-file",
          join(folder, "key"),
          ...args,
        ]),
        environment: { DELTAPLANE_LOG: "info" },
        logFile: join(folder, "logs", `${name}.log`),
      }),
    );

  const layout = { folder, component, address, state, tls: options.tls ? issueCertificates(folder) : undefined, options };
  const schedulers: LiveScheduler[] = [];
  for (let index = 0; index < (options.schedulers ?? 1); index++) schedulers.push(await startScheduler(layout, index));
  const routers: LiveRouter[] = [];
  for (let index = 0; index < (options.routers ?? 1); index++) {
    const router = await startRouter(layout, index, schedulers);
    // The first one makes the operator's key: it must not be made twice.
    const madeKey = () => checkStarts([router.process]) && existsSync(join(folder, "router-1", "admin-key"));
    if (index === 0) await waitUntil("the first router's key", READY_MS_MAX, madeKey);
    routers.push(router);
  }
  const nodes: LiveNode[] = [];
  for (let index = 0; index < (options.nodes ?? 1); index++) nodes.push(await startNode(layout, index, schedulers, routers));

  const adminKey = readFileSync(join(folder, "router-1/admin-key"), "utf8").trim();
  const kept = [...schedulers, ...routers, ...nodes].map((part) => part.process).concat(redis ?? []);
  const channels = starting.adopt([] as GrpcChannel[], async (open) => {
    await Promise.all(open.map((channel) => channel[Symbol.asyncDispose]()));
  });
  const channel = (to: string, credential: string) => {
    const opened = openChannel({ address: to, credential, clock: systemClock });
    channels.push(opened);
    return opened;
  };
  const admins = routers.map((router) => channel(router.admin, adminKey));
  const healed = () => waitUntil("all routers and nodes to serve", READY_MS_MAX, () => allServe(routers, admins, nodes.length));
  const quiet = () => waitUntil("all claims to be delivered", QUIET_MS_MAX, () => nothingLeft(routers, nodes, admins));
  await waitUntil("the cluster to start", READY_MS_MAX, () => checkStarts(kept) && allServe(routers, admins, nodes.length));
  const running = starting.move();
  return {
    ...{ folder, schedulers, routers, nodes, redis, adminKey, clusterKey, channel, healed, quiet },
    admin: admins[0]!,
    operator: channel(routers[0]!.grpc, adminKey),
    command: (...args) =>
      runCommand(folder, ["--server", routers[0]!.grpc, "--admin-server", routers[0]!.admin, "--key", adminKey, ...args]),
    deaths: () => kept.flatMap((process) => process.deaths),
    [Symbol.asyncDispose]: () => running.disposeAsync(),
  };
}

/** A part that ended so often, before anybody killed anything, will never start. */
const FAILED_STARTS_MAX = 3;

/** True, for use in a condition. @throws Hopeless with a part's last words */
function checkStarts(parts: readonly KeptProcess[]): true {
  for (const { name, deaths } of parts)
    if (deaths.length >= FAILED_STARTS_MAX) throw new Hopeless(`${name} does not start: ${deaths.at(-1)!.lastWords}`);
  return true;
}

async function allServe(routers: readonly LiveRouter[], admins: readonly GrpcChannel[], nodeCount: number): Promise<boolean> {
  const ready = await Promise.all(
    routers.map(async (router, index) => {
      if (!(await fetch(`${router.http}/readyz`)).ok) return false;
      const { nodes } = await admins[index]!.unary(AdminServiceService.getCluster, {}, { timeoutMs: 2_000 });
      const withEngine = nodes.filter(({ view }) => view?.bases.some((base) => base.rowsMax > 0));
      return withEngine.length >= nodeCount;
    }),
  );
  return ready.every(Boolean);
}

async function nothingLeft(routers: readonly LiveRouter[], nodes: readonly LiveNode[], admins: readonly GrpcChannel[]): Promise<boolean> {
  const pending = await Promise.all(
    [...routers, ...nodes].map(async ({ metrics }) => {
      const count = (await scrape(metrics)).sum("deltaplane_ledger_claims_pending");
      if (count === undefined) throw new Error(`${metrics} has no deltaplane_ledger_claims_pending`);
      return count;
    }),
  );
  const running = await Promise.all(admins.map((admin) => rowsRunning(admin)));
  return [...pending, ...running].every((count) => count === 0);
}

/** Requests in a router, and rows in the engines as the nodes' last reports say. */
export async function rowsRunning(admin: GrpcChannel): Promise<number> {
  const { nodes, requestsRunning } = await admin.unary(AdminServiceService.getCluster, {}, { timeoutMs: 2_000 });
  const bases = nodes.flatMap((node) => node.view?.bases ?? []);
  return bases.reduce((sum, base) => sum + base.rowsRunning + base.queueDepth, requestsRunning);
}

async function runCommand(folder: string, args: readonly string[]): Promise<CommandResult> {
  const child = spawn(process.execPath, [MAIN, ...args], {
    env: { ...process.env, NO_COLOR: "1", DELTAPLANE_HOME: join(folder, "no-home") },
    stdio: ["ignore", "pipe", "pipe"],
  });
  const [stdout, stderr, [status]] = await Promise.all([text(child.stdout), text(child.stderr), once(child, "close")]);
  return { status: status as number | null, stdout, stderr };
}

function niced(
  nice: boolean,
  [command, ...args]: readonly [string, ...string[]],
): { readonly command: string; readonly args: readonly string[] } {
  if (!nice || process.platform !== "linux") return { command, args };
  return { command: "nice", args: ["-n", String(NODE_NICENESS), command, ...args] };
}
