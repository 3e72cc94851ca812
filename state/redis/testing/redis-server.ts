import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { createConnection, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** A redis-server of a test's own, in a folder of its own. */
export interface RedisServer extends AsyncDisposable {
  readonly port: number;
  /** `redis://127.0.0.1:<port>` */
  readonly url: string;
  readonly pid: number | undefined;
  /** `kill -9`. Resolves when it is gone. */
  kill(): Promise<void>;
  /** Starts it again on the same port with what is on its disk. Resolves when it answers. */
  start(): Promise<void>;
}

/** Why tests with a real Redis cannot run here; undefined when they can. `DELTAPLANE_TEST_REDIS` names another binary. */
export function redisMissing(): string | undefined {
  try {
    execFileSync(binary("redis-server"), ["--version"], { stdio: "ignore" });
    return undefined;
  } catch {
    return "redis-server is not installed";
  }
}

/** The binary of that name: on the PATH, or beside the one that `DELTAPLANE_TEST_REDIS` names. */
export function binary(name: "redis-server" | "redis-cli"): string {
  const named = process.env["DELTAPLANE_TEST_REDIS"];
  return named === undefined ? name : join(named, "..", name);
}

/** Everything that was acknowledged is on disk. */
export const DURABLE = ["--appendonly", "yes", "--appendfsync", "always"] as const;

/** Starts a server with these options, which are redis-server's own. */
export async function startRedisServer(options: readonly string[] = DURABLE): Promise<RedisServer> {
  const directory = await mkdtemp(join(tmpdir(), "deltaplane-redis-"));
  const port = await freePort();
  const server = new ChildServer(directory, port, options);
  try {
    await server.start();
  } catch (error) {
    await server[Symbol.asyncDispose]();
    throw error;
  }
  return server;
}

class ChildServer implements RedisServer {
  readonly port: number;
  readonly #directory: string;
  readonly #options: readonly string[];
  #child: ChildProcess | undefined;

  constructor(directory: string, port: number, options: readonly string[]) {
    this.#directory = directory;
    this.port = port;
    this.#options = options;
  }

  get url(): string {
    return `redis://127.0.0.1:${this.port}`;
  }

  get pid(): number | undefined {
    return this.#child?.pid;
  }

  async start(): Promise<void> {
    const own = ["--port", String(this.port), "--bind", "127.0.0.1", "--dir", this.#directory, "--save", "", "--daemonize", "no"];
    const child = spawn(binary("redis-server"), [...own, ...this.#options], { stdio: ["ignore", "pipe", "pipe"] });
    this.#child = child;
    let said = "";
    for (const stream of [child.stdout, child.stderr]) stream.on("data", (bytes) => (said = (said + String(bytes)).slice(-4_000)));
    // A test that is killed must not leave its server behind.
    const end = () => child.kill("SIGKILL");
    process.once("exit", end);
    child.once("exit", () => process.off("exit", end));
    while (!(await answers(this.port))) {
      if (child.exitCode !== null || child.signalCode !== null) throw new Error(`redis-server ended at its start:\n${said}`);
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  }

  async kill(): Promise<void> {
    const child = this.#child;
    this.#child = undefined;
    if (!child || child.exitCode !== null || child.signalCode !== null) return;
    const ended = new Promise((resolve) => child.once("exit", resolve));
    child.kill("SIGKILL");
    await ended;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill();
    await rm(this.#directory, { recursive: true, force: true });
  }
}

/**
 * Ports, and their cluster buses, stay below the range from which the kernel takes ports for outgoing connections:
 * nobody else happens to sit on them, not even while a server is dead between a kill and its next life.
 */
const PORT_MIN = 12_000;
const PORT_MAX = 22_000;
/** A cluster node's bus listens this far above its port. */
const CLUSTER_BUS_OFFSET = 10_000;

/** A port that nobody listened on a moment ago, nor on its bus. */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = PORT_MIN + Math.floor(Math.random() * (PORT_MAX - PORT_MIN));
    if ((await canListen(port)) && (await canListen(port + CLUSTER_BUS_OFFSET))) return port;
  }
}

/** Whether nobody listens on this port of the loopback now. */
export function canListen(port: number): Promise<boolean> {
  const server = createServer();
  return new Promise((resolve) => {
    server.once("error", () => resolve(false));
    server.listen(port, "127.0.0.1", () => server.close(() => resolve(true)));
  });
}

/** Whether a server answers a PING, with PONG or a demand for a password; not while it loads. */
function answers(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = createConnection(port, "127.0.0.1");
    socket.once("connect", () => socket.write("PING\r\n"));
    socket.once("data", (bytes) => {
      socket.destroy();
      resolve(/PONG|NOAUTH/.test(String(bytes)));
    });
    socket.once("error", () => resolve(false));
    socket.once("close", () => resolve(false));
  });
}
