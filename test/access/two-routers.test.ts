import { randomBytes } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pino } from "pino";
import { Registry } from "prom-client";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { asNodeId, type Fault, seededRandom, systemClock } from "#kernel";
import {
  AdminServiceService,
  CreateKeyRequest,
  GenerateRequest,
  type GrpcChannel,
  InferenceServiceService,
  openChannel,
  Scope,
} from "#proto";
import { createAdminKey, memoryTransport, startRouter } from "#router";
import { openEmbeddedStore, type StateStore } from "#state";
import { BASE_NAME, settableCluster, snapshotOf, viewsOf } from "../../router/testing/cluster-of.ts";
import { scriptedNode } from "../../router/testing/scripted-node.ts";
import { openRedisStore } from "../../state/redis/index.ts";
import { redisMissing, startRedisServer } from "../../state/redis/testing/redis-server.ts";

/** What is promised: refused everywhere within this time. */
const EVERYWHERE_MS = 5_000;

interface TwoRouters {
  readonly admin: GrpcChannel;
  /** A channel to the other router, where the change was not made. */
  readonly elsewhere: (credential: string) => GrpcChannel;
}

let stack: AsyncDisposableStack;
beforeEach(() => {
  stack = new AsyncDisposableStack();
});
afterEach(() => stack[Symbol.asyncDispose]());

async function startTwoRouters(store: StateStore): Promise<TwoRouters> {
  const shell = { clock: systemClock, randomSecret: (sizeBytes: number) => randomBytes(sizeBytes) };
  const { text: adminKey } = await createAdminKey(store.records, shell);
  const start = async (seed: number) => {
    const dataDirectory = await mkdtemp(join(tmpdir(), "deltaplane-two-"));
    stack.defer(() => rm(dataDirectory, { recursive: true, force: true }));
    const nodes = new Map([[asNodeId("a"), scriptedNode({ pace: onePiece() })]]);
    const parts = {
      store,
      registry: new Registry(),
      cluster: settableCluster(snapshotOf(viewsOf(nodes))),
      transport: memoryTransport(nodes),
    };
    return stack.use(
      await startRouter(
        { ...shell, ...parts, random: seededRandom(seed), log: pino({ level: "silent" }) },
        { grpcListen: "127.0.0.1:0", adminListen: "127.0.0.1:0", schedulers: [], clusterKey: "cluster", dataDirectory },
      ),
    );
  };
  const [here, there] = [await start(1), await start(2)];
  const channel = (port: number, credential: string) =>
    stack.use(openChannel({ address: `127.0.0.1:${port}`, credential, clock: systemClock }));
  return { admin: channel(here.adminPort!, adminKey), elsewhere: (credential) => channel(there.grpcPort, credential) };
}

/** A node that says one piece of each text, and then nothing for as long as anybody waits. */
function onePiece(): (signal: AbortSignal) => Promise<void> {
  const begun = new WeakSet<AbortSignal>();
  return async (signal) => {
    if (begun.has(signal)) await systemClock.after(60_000, signal);
    begun.add(signal);
  };
}

async function newKey(admin: GrpcChannel): Promise<{ readonly id: string; readonly text: string }> {
  const wish = CreateKeyRequest.fromPartial({ tenantId: "acme", scopes: [Scope.SCOPE_INFER] });
  const { key, secret } = await admin.unary(AdminServiceService.createKey, wish);
  return { id: key!.id, text: secret };
}

const wish = GenerateRequest.fromPartial({
  model: BASE_NAME,
  prompt: { kind: { $case: "text", value: "hello" } },
  sampling: { maxTokens: 200, seed: "3" },
});

/** Begins a long text, and resolves when its first piece is there; what it ends with comes later. */
async function beginText(channel: GrpcChannel): Promise<{ readonly ended: Promise<Fault | undefined> }> {
  const pieces = channel.serverStream(InferenceServiceService.generate, wish)[Symbol.asyncIterator]();
  await pieces.next();
  const rest = async () => {
    for (let next = await pieces.next(); !next.done; next = await pieces.next());
  };
  return {
    ended: rest().then(
      () => undefined,
      (error: unknown) => error as Fault,
    ),
  };
}

const reasonOf = (channel: GrpcChannel) =>
  channel.unary(InferenceServiceService.countTokens, { model: BASE_NAME, prompt: wish.prompt }).then(
    () => "served",
    (error: unknown) => (error as Fault).reason,
  );

const STORES: Readonly<Record<string, () => Promise<StateStore>>> = {
  embedded: () => openEmbeddedStore(":memory:", { clock: systemClock }),
  redis: async () => openRedisStore(stack.use(await startRedisServer([])).url, { clock: systemClock }),
};
const missing = redisMissing();

describe.each(Object.keys(STORES))("two routers over one %s store", (kind) => {
  const here = test.skipIf(kind === "redis" && missing !== undefined);
  here("what is revoked at one is refused at the other, and what runs there ends", async () => {
    const { admin, elsewhere } = await startTwoRouters(stack.use(await STORES[kind]!()));
    await admin.unary(AdminServiceService.createTenant, { id: "acme" });
    const [key, other] = [await newKey(admin), await newKey(admin)];
    const channel = elsewhere(key.text);
    await expect.poll(() => reasonOf(channel), { timeout: EVERYWHERE_MS }).toBe("served");
    const text = await beginText(channel);
    await admin.unary(AdminServiceService.revokeKey, { id: key.id });
    await expect.poll(() => reasonOf(channel), { timeout: EVERYWHERE_MS }).toBe("key_unknown");
    expect((await text.ended)?.reason).toBe("key_unknown");
    expect(await reasonOf(elsewhere(other.text))).toBe("served");
  });

  here("a tenant that is suspended at one is suspended at the other, until it is resumed", async () => {
    const { admin, elsewhere } = await startTwoRouters(stack.use(await STORES[kind]!()));
    await admin.unary(AdminServiceService.createTenant, { id: "acme" });
    const key = await newKey(admin);
    const channel = elsewhere(key.text);
    await expect.poll(() => reasonOf(channel), { timeout: EVERYWHERE_MS }).toBe("served");
    const text = await beginText(channel);
    await admin.unary(AdminServiceService.suspendTenant, { id: "acme" });
    await expect.poll(() => reasonOf(channel), { timeout: EVERYWHERE_MS }).toBe("tenant_suspended");
    expect((await text.ended)?.reason).toBe("tenant_suspended");
    await admin.unary(AdminServiceService.resumeTenant, { id: "acme" });
    await expect.poll(() => reasonOf(channel), { timeout: EVERYWHERE_MS }).toBe("served");
  });
});
