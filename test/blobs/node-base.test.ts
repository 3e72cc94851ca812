import { execFile } from "node:child_process";
import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { pino } from "pino";
import { Registry } from "prom-client";
import { afterAll, beforeAll, expect, test } from "vitest";
import { openBaseFolders, openBlobStore } from "#blobs";
import { seededRandom, systemClock } from "#kernel";
import type { BaseInfo } from "#model";
import { startNodeAgent } from "#node-agent";
import { NodeServiceService, openChannel } from "#proto";
import { FakeEngine } from "../../node-agent/testing/fake-engine.ts";
import { GOLDEN_BASE, goldenInfo } from "../../node-agent/testing/golden-base.ts";
import { type S3Server, startS3Server } from "./s3-server.ts";
import { blobDeps, setTestKeys, urlOf } from "./s3-under-test.ts";

/** From `deltaplane bases upload` to a node agent that has the base: the same digest as from a folder. */

const MAIN = join(import.meta.dirname, "../../cli/main.ts");
let server: S3Server;
let directory: string;
let base: BaseInfo;
beforeAll(async () => {
  setTestKeys();
  server = await startS3Server();
  directory = await mkdtemp(join(tmpdir(), "deltaplane-node-base-"));
  base = await goldenInfo();
});
afterAll(async () => {
  await server[Symbol.asyncDispose]();
  await rm(directory, { recursive: true, force: true });
});

test("a base that was uploaded is loaded by a node from its bucket, also when it is asked for later", async () => {
  const url = urlOf(server, "bases/golden");
  const { stdout } = await promisify(execFile)(process.execPath, [MAIN, "bases", "upload", GOLDEN_BASE, url], { encoding: "utf8" });
  expect(stdout.trim()).toBe(`s3://${server.bucketName}/bases/golden`);
  server.asked.length = 0;
  const openStore = (location: string) => openBlobStore(blobDeps(), location, { spoolDirectory: join(directory, "spool") });
  await using folders = openBaseFolders({ log: pino({ level: "silent" }), openStore }, join(directory, "bases"));
  await using agent = await startNodeAgent(
    {
      ...{ clock: systemClock, random: seededRandom(1), log: pino({ level: "silent" }), registry: new Registry() },
      startEngine: async () => new FakeEngine(base, 2),
      openBaseFolder: (location) => folders.open(location),
    },
    {
      ...{ id: "node-1", listen: "127.0.0.1:0", clusterKey: "cluster-secret", schedulers: [], routers: [], threads: 1 },
      ...{ bases: [{ name: "golden", directory: url }], cacheDirectory: directory },
    },
  );
  await using router = openChannel({ address: `127.0.0.1:${agent.port}`, credential: "cluster-secret", clock: systemClock });
  const attached = await router.unary(NodeServiceService.attachBase, { name: "golden", directory: url });
  expect(attached.base).toMatchObject({ name: "golden", digest: base.digest, directory: url });
  const files = (await readdir(GOLDEN_BASE)).length;
  expect(server.asked.filter(({ operation }) => operation === "get")).toHaveLength(files + 1); // And the manifest, all of them once.
});
