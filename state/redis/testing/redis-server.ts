import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { createConnection } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { freePort } from "./free-port.ts";

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
