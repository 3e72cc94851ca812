import { randomBytes, randomUUID } from "node:crypto";
import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pino } from "pino";
import { Registry } from "prom-client";
import { afterEach, beforeEach, expect, test } from "vitest";
import { openBlobStore } from "#blobs";
import { asNodeId, seededRandom, systemClock } from "#kernel";
import {
  AdminServiceService,
  FineTuningServiceService,
  type GrpcChannel,
  ModelServiceService,
  openChannel,
  type PushDeltaRequest,
  Scope,
  type UploadFileRequest,
} from "#proto";
import { createAdminKey, memoryTransport, startRouter } from "#router";
import { openEmbeddedStore } from "#state";
import { BASE_NAME, settableCluster, snapshotOf, viewsOf } from "../../router/testing/cluster-of.ts";
import { scriptedNode } from "../../router/testing/scripted-node.ts";
import { type S3Server, startS3Server } from "./s3-server.ts";
import { blobDeps, setTestKeys, urlOf } from "./s3-under-test.ts";

/** Two routers with one store of records and one bucket, and no folder in common: what one takes in, the other has. */

const CLUSTER_KEY = "cluster-secret";
let stack: AsyncDisposableStack;
let server: S3Server;
let here: { readonly tenant: GrpcChannel; readonly cluster: GrpcChannel; readonly dataDirectory: string };
let there: typeof here;

beforeEach(async () => {
  stack = new AsyncDisposableStack();
  setTestKeys();
  server = stack.use(await startS3Server());
  const shell = { clock: systemClock, randomSecret: (sizeBytes: number) => randomBytes(sizeBytes) };
  const store = stack.use(await openEmbeddedStore(":memory:", { clock: systemClock }));
  const { text: adminKey } = await createAdminKey(store.records, shell);
  const url = urlOf(server, `two/${randomUUID()}`);
  const channelTo = (port: number, credential: string) =>
    stack.use(openChannel({ address: `127.0.0.1:${port}`, credential, clock: systemClock }));
  const start = async (seed: number) => {
    const dataDirectory = await mkdtemp(join(tmpdir(), "deltaplane-blobs-two-"));
    stack.defer(() => rm(dataDirectory, { recursive: true, force: true }));
    const nodes = new Map([[asNodeId("a"), scriptedNode()]]);
    const blobs = stack.use(await openBlobStore(blobDeps(), url, { spoolDirectory: join(dataDirectory, "spool") }));
    const cluster = settableCluster(snapshotOf(viewsOf(nodes)));
    const parts = { store, blobs, cluster, registry: new Registry(), transport: memoryTransport(nodes) };
    const router = await startRouter(
      { ...shell, ...parts, random: seededRandom(seed), log: pino({ level: "silent" }) },
      { grpcListen: "127.0.0.1:0", adminListen: "127.0.0.1:0", schedulers: [], clusterKey: CLUSTER_KEY, dataDirectory },
    );
    return { router: stack.use(router), dataDirectory };
  };
  const [one, other] = [await start(1), await start(2)];
  const admin = channelTo(one.router.adminPort!, adminKey);
  await admin.unary(AdminServiceService.createTenant, { id: "acme" });
  const { secret } = await admin.unary(AdminServiceService.createKey, {
    ...{ tenantId: "acme", projectId: "", name: "", expiresAtMs: 0 },
    scopes: [Scope.SCOPE_INFER, Scope.SCOPE_TRAIN],
  });
  const doors = ({ router, dataDirectory }: typeof one) => ({
    ...{ dataDirectory, tenant: channelTo(router.grpcPort, secret), cluster: channelTo(router.grpcPort, CLUSTER_KEY) },
  });
  [here, there] = [doors(one), doors(other)];
});
afterEach(() => stack.disposeAsync());

async function* upload(weights: Buffer): AsyncGenerator<PushDeltaRequest> {
  yield { part: { $case: "header", value: { base: BASE_NAME, name: "tax", tenantId: "" } } };
  yield { part: { $case: "config", value: Buffer.from("{}") } };
  yield { part: { $case: "weights", value: weights } };
}

async function* file(content: string): AsyncGenerator<UploadFileRequest> {
  yield { part: { $case: "header", value: { filename: "train.jsonl", purpose: "fine-tune", expiresAtMs: 0, tenantId: "" } } };
  yield { part: { $case: "bytes", value: Buffer.from(content) } };
}

test("a delta that one took in, nodes get from the other, though the store throttles and breaks off", async () => {
  const weights = randomBytes(20_000);
  const { delta } = await here.tenant.clientStream(ModelServiceService.pushDelta, upload(weights));
  const reference = delta!.reference;
  const troubles = [{ kind: "slow_down" } as const, { kind: "cut", afterBytes: 7_000 } as const];
  server.trouble = ({ operation, key }) => (operation === "get" && key.endsWith("safetensors") ? troubles.shift() : undefined);
  const parts = await Array.fromAsync(there.cluster.serverStream(ModelServiceService.downloadDelta, { delta: reference }));
  const content = Buffer.concat(parts.flatMap(({ part }) => (part?.$case === "weights" ? [part.value] : [])));
  expect(content.equals(weights)).toBe(true);
  expect(troubles).toEqual([]);
  expect(await readdir(join(here.dataDirectory, "spool"))).toEqual([]);
});

test("a file that one took in is read and removed through the other", async () => {
  const uploaded = await here.tenant.clientStream(FineTuningServiceService.uploadFile, file('{"prompt":"a","completion":"b"}\n'));
  const { id } = uploaded.file!;
  const read = async () => {
    const parts = await Array.fromAsync(there.tenant.serverStream(FineTuningServiceService.downloadFile, { id }));
    return Buffer.concat(parts.map(({ piece }) => piece)).toString();
  };
  await expect.poll(() => read().catch(() => undefined), { timeout: 10_000 }).toBe('{"prompt":"a","completion":"b"}\n');
  await there.tenant.unary(FineTuningServiceService.deleteFile, { id });
  expect([...server.bucket.objects.keys()].filter((key) => key.includes("/files/"))).toEqual([]);
});

test("a store that is away is a fault that says so, and nothing of the upload is registered", async () => {
  server.trouble = ({ operation }) => (operation.startsWith("put") ? { kind: "status", status: 403, code: "AccessDenied" } : undefined);
  const pushed = here.tenant.clientStream(ModelServiceService.pushDelta, upload(randomBytes(100)));
  await expect(pushed).rejects.toMatchObject({ reason: "blobs_unavailable", code: "unavailable" });
  expect((await here.tenant.unary(ModelServiceService.listDeltas, { tenantId: "" })).deltas).toEqual([]);
});
