import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Fault, type Log, systemClock, systemRandom } from "#kernel";
import { type Handlers, implement, startGrpcServer, TrainingServiceService } from "#proto";
import { openRedisRegistry } from "#state";
import { type RedisServer, redisMissing, startRedisServer } from "../../state/redis/testing/redis-server.ts";

const MAIN = join(import.meta.dirname, "../../cli/main.ts");
const SILENT: Log = { info: () => undefined, warn: () => undefined, error: () => undefined };
/** A process starts, on a machine that others may use too. */
const START_MS_MAX = 60_000;

const missing = redisMissing();
if (missing !== undefined) console.warn(`skipped, for ${missing}: a trainer that finds routers in Redis`);

describe.skipIf(missing !== undefined)("a trainer that knows nothing but a Redis", () => {
  const folder = mkdtempSync(join(tmpdir(), "deltaplane-trainer-"));
  const parts = new AsyncDisposableStack();
  let redis: RedisServer;
  let trainer: ChildProcess;

  beforeAll(async () => {
    redis = await startRedisServer();
    const key = join(folder, "key");
    writeFileSync(key, "a-secret-that-the-parts-share");
    const args = ["--registry", redis.url, "--cluster-key-file", key, "--directory", folder, "--metrics-listen", "127.0.0.1:0"];
    trainer = spawn(process.execPath, [MAIN, "trainer", "--name", "t", ...args], { cwd: folder, stdio: "ignore" });
  });
  afterAll(async () => {
    trainer?.kill("SIGKILL");
    await parts.disposeAsync();
    await redis?.[Symbol.asyncDispose]();
    rmSync(folder, { recursive: true, force: true });
  });

  /** One that has no work, and is announced until it is disposed. */
  async function router(name: string) {
    let asked = 0;
    const unused = async () => {
      throw new Fault("op_unsupported", "there is no job");
    };
    const handlers: Handlers<typeof TrainingServiceService> = {
      async leaseJob(_request, { signal }) {
        asked++;
        await systemClock.after(50, signal);
        const none = { job: undefined, trainingFile: undefined, validationFile: undefined };
        return { ...none, epoch: 0, leaseMs: 0, baseDirectory: "", checkpoint: false, published: "" };
      },
      ...{ reportJob: unused, saveCheckpoint: unused, publishDelta: unused },
      // biome-ignore lint/correctness/useYield: it refuses.
      async *readTrainingFile() {
        await unused();
      },
      // biome-ignore lint/correctness/useYield: it refuses.
      async *loadCheckpoint() {
        await unused();
      },
    };
    await using own = new AsyncDisposableStack();
    const implementation = implement(TrainingServiceService, handlers, { clock: systemClock });
    const service = { name: "deltaplane.v1.TrainingService", definition: TrainingServiceService, implementation };
    const server = own.use(await startGrpcServer({ listen: "127.0.0.1:0", services: [service], clock: systemClock }));
    const registry = own.use(await openRedisRegistry(redis.url, { clock: systemClock, random: systemRandom(), log: SILENT }));
    registry.announce({ kind: "router", name, address: `127.0.0.1:${server.port}` });
    const running = parts.use(own.move());
    return { asked: () => asked, stop: () => running.disposeAsync() };
  }

  it(
    "finds a router that comes later, goes on with another one when that leaves, and ends when it is told to",
    async () => {
      const wait = { timeout: START_MS_MAX - 10_000, interval: 20 };
      const one = await router("one");
      await expect.poll(one.asked, wait).toBeGreaterThan(2);
      const two = await router("two");
      await one.stop();
      await expect.poll(two.asked, wait).toBeGreaterThan(2);
      trainer.kill("SIGTERM");
      expect((await once(trainer, "exit"))[0]).toBe(0);
    },
    START_MS_MAX,
  );
});
