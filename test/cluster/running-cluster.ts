import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { systemClock } from "#kernel";
import { type GrpcChannel, openChannel } from "#proto";

/** A real cluster for a test: `deltaplane up` in a process of its own, with a home and ports of its own. */
export interface RunningCluster extends AsyncDisposable {
  readonly home: string;
  readonly http: string;
  readonly grpc: string;
  readonly metrics: string;
  readonly adminKey: string;
  readonly tenantKeys: Readonly<Record<string, string>>;
  /** Everything it printed to stdout. */
  readonly printed: readonly string[];
  channel(key: string): GrpcChannel;
  /** To the administration's door, with the operator's key. */
  adminChannel(): GrpcChannel;
  /** Runs `deltaplane …` beside it and gives what it printed to stdout. */
  cli(...args: string[]): string;
  /** Process ids of its node agents, by id. */
  nodePids(): Readonly<Record<string, number>>;
  /** Sends SIGINT, and gives the exit code. */
  stop(): Promise<number>;
}

const ROOT = join(import.meta.dirname, "../..");
const MAIN = join(ROOT, "cli/main.ts");

export interface RunningClusterOptions {
  /** Further arguments of `up`. */
  readonly args?: readonly string[];
  /** A home to find state in; default: a new one, removed at the end. */
  readonly home?: string;
}

export async function startCluster(options: RunningClusterOptions = {}): Promise<RunningCluster> {
  const home = options.home ?? mkdtempSync(join(tmpdir(), "deltaplane-test-"));
  const env = { ...process.env, DELTAPLANE_HOME: home, NO_COLOR: "1" };
  const ports = ["--port", "0", "--grpc-port", "0", "--admin-port", "0", "--metrics-port", "0"];
  const child = spawn(process.execPath, [MAIN, "up", ...ports, ...(options.args ?? [])], {
    cwd: ROOT,
    env,
    stdio: ["ignore", "pipe", "pipe"],
  });
  const exited = new Promise<number>((resolve) => child.once("exit", (code) => resolve(code ?? 1)));
  const printed: string[] = [];
  const addresses = await ready(child, exited, printed);
  const keys = JSON.parse(readFileSync(join(home, "demo-keys.json"), "utf8")) as { admin: string; tenants: Record<string, string> };
  const { adminAddress } = JSON.parse(readFileSync(join(home, "cluster.json"), "utf8")) as { adminAddress: string };
  const stop = () => {
    child.kill("SIGINT");
    return exited;
  };
  return {
    home,
    ...addresses,
    adminKey: keys.admin,
    tenantKeys: keys.tenants,
    printed,
    channel: (credential) => openChannel({ address: addresses.grpc, credential, clock: systemClock }),
    adminChannel: () => openChannel({ address: adminAddress, credential: keys.admin, clock: systemClock }),
    cli: (...args) =>
      execFileSync(process.execPath, [MAIN, ...args], { cwd: ROOT, env, encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] }),
    nodePids: () => nodePidsOf(child.pid!),
    stop,
    async [Symbol.asyncDispose]() {
      if (child.exitCode === null && child.signalCode === null) await stop();
      if (options.home === undefined) rmSync(home, { recursive: true, force: true });
    },
  };
}

/** A start takes six seconds, and ten on a busy machine: one that takes longer hangs, and must say where. */
const START_MS = 55_000;

/** Waits for the ready line; what the cluster said tells why it never came. */
function ready(child: ChildProcess, exited: Promise<number>, printed: string[]): Promise<{ http: string; grpc: string; metrics: string }> {
  const complaints: string[] = [];
  child.stderr!.on("data", (chunk: Buffer) => complaints.push(chunk.toString()));
  return new Promise((resolve, reject) => {
    const impatience = setTimeout(() => {
      child.kill("SIGKILL");
      reject(new Error(`the cluster was not ready after ${START_MS} ms; it printed:\n${printed.join("\n")}\n${complaints.join("")}`));
    }, START_MS);
    exited.then(() => clearTimeout(impatience));
    createInterface({ input: child.stdout! }).on("line", (line) => {
      printed.push(line);
      const [, http, grpc, metrics] = /^deltaplane ready http=(\S+) grpc=(\S+) metrics=(\S+)$/.exec(line) ?? [];
      if (!http || !grpc || !metrics) return;
      clearTimeout(impatience);
      resolve({ http, grpc, metrics });
    });
    exited.then((code) => reject(new Error(`the cluster ended with exit code ${code} before it was ready:\n${complaints.join("")}`)));
  });
}

/** Children of `up` whose command line says `node-agent --id <id>`. */
function nodePidsOf(parent: number): Record<string, number> {
  const pids: Record<string, number> = {};
  for (const entry of readdirSync("/proc").filter((name) => /^\d+$/.test(name))) {
    try {
      const parentPid = Number(readFileSync(`/proc/${entry}/stat`, "utf8").split(") ")[1]!.split(" ")[1]);
      const args = readFileSync(`/proc/${entry}/cmdline`, "utf8").split("\0");
      if (parentPid === parent && args.includes("node-agent")) pids[args[args.indexOf("--id") + 1]!] = Number(entry);
    } catch (error) {
      if (!["ENOENT", "ESRCH"].includes((error as NodeJS.ErrnoException).code ?? "")) throw error; // It ended while we looked.
    }
  }
  return pids;
}
