import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { createInterface } from "node:readline";

/** A cluster as users start it: a process of its own, with one node agent, and a home that is removed afterwards. */
export interface BenchCluster extends AsyncDisposable {
  /** `http://host:port` */
  readonly http: string;
  /** `host:port` */
  readonly grpcAddress: string;
  /** Of the administration's door. */
  readonly adminAddress: string;
  /** Of the process of router and scheduler, in Prometheus' text format. */
  readonly metrics: string;
  readonly adminKey: string;
  /** The secret of the cluster's own parts, for talking to the node directly. */
  readonly clusterKey: string;
  /** What clients call the base. */
  readonly baseName: string;
  /** Runs `deltaplane …` against this cluster and gives what it printed. */
  command(args: readonly string[]): Promise<string>;
}

const MAIN = join(import.meta.dirname, "../cli/main.ts");
const READY_LINE = /^deltaplane ready http=(?<http>\S+) grpc=(?<grpc>\S+) metrics=(?<metrics>\S+)$/;
/** A drain takes as long as the longest request; nothing runs any more when a bench stops its cluster. */
const STOP_MS_MAX = 30_000;

export interface BenchClusterOptions {
  readonly baseDirectory: string;
  /** Of each node's engine. */
  readonly threads: number;
  /** Node agents. Default 1. */
  readonly nodes?: number;
  /** For all of its parts, beside what this process has. */
  readonly environment?: Readonly<Record<string, string>>;
}

/** Starts `deltaplane up` on free ports and resolves when it is ready. */
export async function startBenchCluster(options: BenchClusterOptions): Promise<BenchCluster> {
  const home = await mkdtemp(join(tmpdir(), "deltaplane-bench-"));
  // Random weights write loops, of which drafts would make too much: every token costs a step, as in the engine's benches.
  const own = { DELTAPLANE_HOME: home, DELTAPLANE_LOG: "warn", DELTAPLANE_SPECULATE: "0", NO_COLOR: "1" };
  const environment = { ...process.env, ...options.environment, ...own };
  const ports = ["--port", "0", "--grpc-port", "0", "--admin-port", "0", "--metrics-port", "0"];
  const machines = ["--nodes", String(options.nodes ?? 1), "--threads", String(options.threads)];
  const args = ["up", "--base", options.baseDirectory, "--no-demo", ...ports, ...machines];
  const child = spawn(process.execPath, [MAIN, ...args], { env: environment, stdio: ["ignore", "pipe", "inherit"] });
  const stop = async () => {
    await stopChild(child);
    await rm(home, { recursive: true, force: true });
  };
  try {
    const { http, grpc, metrics } = await readyAddresses(child);
    const { adminAddress } = JSON.parse(await readFile(join(home, "cluster.json"), "utf8")) as { adminAddress: string };
    const keys = JSON.parse(await readFile(join(home, "demo-keys.json"), "utf8")) as { admin: string };
    return {
      http,
      grpcAddress: grpc,
      adminAddress,
      metrics,
      adminKey: keys.admin,
      clusterKey: (await readFile(join(home, "cluster-key"), "utf8")).trim(),
      baseName: basename(options.baseDirectory),
      command: (commandArgs) => runCommand(commandArgs, environment),
      [Symbol.asyncDispose]: stop,
    };
  } catch (error) {
    await stop();
    throw error;
  }
}

const BENCH_TENANT = "bench";

/** Adds a tenant with a key that may call models, and pushes the given PEFT folders as its deltas. */
export async function addTenant(
  cluster: BenchCluster,
  deltas: readonly string[],
): Promise<{ readonly key: string; readonly models: readonly string[] }> {
  await cluster.command(["tenants", "add", BENCH_TENANT]);
  const key = (await cluster.command(["keys", "create", "--tenant", BENCH_TENANT])).trim();
  const models: string[] = [];
  for (const [index, directory] of deltas.entries()) {
    const name = `delta-${index}`;
    await cluster.command(["deltas", "push", directory, "--base", cluster.baseName, "--name", name, "--tenant", BENCH_TENANT]);
    models.push(`${BENCH_TENANT}/${name}`);
  }
  return { key, models };
}

async function readyAddresses(child: ChildProcess): Promise<{ readonly http: string; readonly grpc: string; readonly metrics: string }> {
  for await (const line of createInterface({ input: child.stdout! })) {
    const groups = READY_LINE.exec(line)?.groups;
    if (groups) {
      child.stdout!.resume(); // What else it prints must not fill the pipe.
      return { http: groups["http"]!, grpc: groups["grpc"]!, metrics: groups["metrics"]! };
    }
  }
  throw new Error("the cluster ended before it was ready");
}

async function stopChild(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = once(child, "exit");
  child.kill("SIGINT");
  const late = setTimeout(() => child.kill("SIGKILL"), STOP_MS_MAX);
  await ended;
  clearTimeout(late);
}

async function runCommand(args: readonly string[], environment: NodeJS.ProcessEnv): Promise<string> {
  const child = spawn(process.execPath, [MAIN, ...args], { env: environment, stdio: ["ignore", "pipe", "pipe"] });
  let output = "";
  let messages = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    output += text;
  });
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    messages += text;
  });
  const [status] = (await once(child, "close")) as [number | null];
  if (status !== 0) throw new Error(`deltaplane ${args[0]} ended with ${status}: ${messages.trim()}`);
  return output;
}
