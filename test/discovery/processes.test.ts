import { type ChildProcess, spawn } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Log, systemClock, systemRandom } from "#kernel";
import { GenerateRequest, InferenceServiceService, openChannel } from "#proto";
import { openRedisRegistry } from "#state";
import { freePort } from "../../state/redis/testing/free-port.ts";
import { type RedisServer, redisMissing, startRedisServer } from "../../state/redis/testing/redis-server.ts";

const ROOT = join(import.meta.dirname, "../..");
const MAIN = join(ROOT, "cli/main.ts");
const SILENT: Log = { info: () => undefined, warn: () => undefined, error: () => undefined };

/** Six processes start at once, on a machine that others may use too. */
const START_MS_MAX = 150_000;

const folder = mkdtempSync(join(tmpdir(), "deltaplane-discovery-"));
const children = new Map<string, ChildProcess>();
let redis: RedisServer;

const missing = redisMissing();
if (missing !== undefined) console.warn(`skipped, for ${missing}: processes that find each other in Redis`);

describe.skipIf(missing !== undefined)("two schedulers, two routers and a node agent that know nothing but a Redis", () => {
  const over = new AbortController();
  let following: Promise<void>;
  let schedulers: readonly string[] = [];
  let routers: readonly string[] = [];
  const http = new Map<string, string>();

  beforeAll(async () => {
    redis = await startRedisServer();
    writeFileSync(join(folder, "key"), "a-secret-that-the-parts-share");
    following = follow();
    for (const name of ["router-1", "router-2"]) await startRouter(name);
    for (const name of ["scheduler-1", "scheduler-2"]) startScheduler(name, 0);
    start("node-agent", "n1", [
      ...["--id", "n1", "--listen", "127.0.0.1:0", "--cache-directory", join(folder, "n1"), "--threads", "1"],
      ...["--notice-seconds", "0", "--base", `demo-base=${join(ROOT, "models/demo-base")}`],
    ]);
  });
  afterAll(async () => {
    over.abort();
    await following;
    for (const child of children.values()) await end(child, "SIGKILL");
    await redis?.[Symbol.asyncDispose]();
    rmSync(folder, { recursive: true, force: true });
  });

  /** As one more part would that looks for the others. */
  async function follow(): Promise<void> {
    await using registry = await openRedisRegistry(redis.url, { clock: systemClock, random: systemRandom(), log: SILENT });
    const read = async (kind: string, keep: (addresses: readonly string[]) => void) => {
      for await (const peers of registry.discovery(kind).watch(over.signal)) keep(peers.map(({ address }) => address));
    };
    await Promise.all([read("scheduler", (found) => (schedulers = found)), read("router", (found) => (routers = found))]);
  }

  async function startRouter(name: string): Promise<void> {
    http.set(name, `http://127.0.0.1:${await freePort()}`);
    // Uploaded deltas lie where all routers reach them.
    mkdirSync(join(folder, name));
    mkdirSync(join(folder, "deltas"), { recursive: true });
    symlinkSync(join(folder, "deltas"), join(folder, name, "deltas"));
    start("router", name, [
      ...["--name", name, "--grpc-listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0", "--http-listen", http.get(name)!.slice(7)],
      ...["--state", redis.url, "--data-directory", join(folder, name), "--notice-seconds", "0"],
    ]);
  }

  function startScheduler(name: string, metricsPort: number): void {
    start("scheduler", name, [
      ...["--name", name, "--listen", "127.0.0.1:0", "--state", redis.url],
      ...["--metrics-listen", `127.0.0.1:${metricsPort}`],
    ]);
  }

  const eventually = (read: () => unknown | Promise<unknown>) => expect.poll(read, { timeout: START_MS_MAX - 10_000, interval: 50 });
  const isReady = async (name: string) => (await fetch(`${http.get(name)}/readyz`).catch(() => undefined))?.status;

  it(
    "find each other, and serve",
    async () => {
      for (const name of http.keys()) await eventually(() => isReady(name)).toBe(200);
      await eventually(() => schedulers).toHaveLength(2);
      expect(routers).toHaveLength(2);
      for (const router of routers) expect(await ask(router)).not.toBe("");
    },
    START_MS_MAX,
  );

  it(
    "forget a scheduler that was killed, find one that comes, let one go that leaves, and serve while Redis is away",
    async () => {
      const before = schedulers;
      await end(children.get("scheduler-1")!, "SIGKILL");
      await eventually(() => schedulers).toHaveLength(1);

      const metricsPort = await freePort();
      startScheduler("scheduler-1", metricsPort);
      await eventually(() => schedulers.filter((address) => !before.includes(address))).toHaveLength(1);
      expect(await end(children.get("scheduler-2")!, "SIGTERM")).toBe(0);
      await eventually(() => schedulers).toHaveLength(1);
      const metrics = async () => (await fetch(`http://127.0.0.1:${metricsPort}/metrics`)).text();
      await eventually(metrics).toMatch(/^deltaplane_nodes\{state="ready".*\} 1$/m);

      await redis.kill();
      expect(await ask(routers[0]!)).not.toBe("");
      expect([schedulers.length, routers.length]).toEqual([1, 2]);
      await redis.start();
      expect(await ask(routers[1]!)).not.toBe("");
    },
    START_MS_MAX,
  );

  it("end when they are told to", async () => {
    for (const name of ["n1", "router-1", "router-2", "scheduler-1"]) expect(await end(children.get(name)!, "SIGTERM")).toBe(0);
  });
});

function start(component: string, name: string, args: readonly string[]): void {
  const shared = ["--cluster-key-file", join(folder, "key"), "--registry", redis.url];
  const metrics = args.includes("--metrics-listen") ? [] : ["--metrics-listen", "127.0.0.1:0"];
  children.set(name, spawn(process.execPath, [MAIN, component, ...shared, ...metrics, ...args], { cwd: folder, stdio: "ignore" }));
}

async function end(child: ChildProcess, signal: "SIGTERM" | "SIGKILL"): Promise<number | null> {
  if (child.exitCode !== null || child.signalCode !== null) return child.exitCode;
  child.kill(signal);
  return new Promise((resolve) => child.once("exit", resolve));
}

/** What a router answers to a customer. */
async function ask(router: string): Promise<string> {
  // Left by the router that came first.
  const file = ["router-1", "router-2"].map((name) => join(folder, name, "admin-key")).find(existsSync)!;
  const credential = readFileSync(file, "utf8").trim();
  await using channel = openChannel({ address: router, credential, clock: systemClock });
  const prompt = { kind: { $case: "text", value: "The" } } as const;
  const request = GenerateRequest.fromPartial({ model: "demo-base", prompt, sampling: { maxTokens: 4, temperature: 0 } });
  let text = "";
  for await (const piece of channel.serverStream(InferenceServiceService.generate, request)) text += piece.text;
  return text;
}
