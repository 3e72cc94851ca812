import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pino } from "pino";
import { Registry } from "prom-client";
import { type Fault, seededRandom, systemClock } from "#kernel";
import { startNodeAgent } from "#node-agent";
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
import { startScheduler } from "#scheduler/service";
import { BASE_NAME } from "../../router/testing/cluster-of.ts";
import { CLUSTER_KEY, type RouterUnderTest, runRouter } from "../../router/testing/running-router.ts";
import { scriptedNode } from "../../router/testing/scripted-node.ts";

/** Every kind of caller, by the key it shows. */
export const IDENTITIES = [
  "nobody",
  "malformed key",
  "unknown key",
  "wrong secret",
  "revoked key",
  "expired key",
  "suspended tenant",
  "infer only",
  "train only",
  "tenant",
  "operator",
  "cluster",
] as const;
export type Identity = (typeof IDENTITIES)[number];

/** Of the doors that serve gRPC. */
export type Door = "customers" | "operators" | "node" | "scheduler";

/** A router with all its doors, a node agent and a scheduler, and a key for each kind of caller. */
export interface LiveSystem extends AsyncDisposable {
  readonly under: RouterUnderTest;
  readonly http: string;
  credential(identity: Identity): string | undefined;
  channel(identity: Identity, door: Door): GrpcChannel;
}

/** The tenant whose things others ask for, and the one that asks. */
export const OWNER = "acme";
export const STRANGER = "zeta";

/** A key is to expire after it was made and before it is used. */
const EXPIRY_MS = 50;

export async function startLiveSystem(): Promise<LiveSystem> {
  await using starting = new AsyncDisposableStack();
  const under = starting.use(await runRouter({ a: scriptedNode() }, { httpListen: "127.0.0.1:0" }));
  const ports = { node: await startNode(starting), scheduler: await startCluster(starting) };
  const credentials = await keysOf(under);
  const parts = starting.move();
  const channels = new Map<string, GrpcChannel>();
  const open = (identity: Identity, door: Door) => {
    const credential = credentials[identity];
    if (door === "customers") return under.channel(credential);
    if (door === "operators") return under.adminChannel(credential);
    const address = `127.0.0.1:${ports[door]}`;
    return parts.use(openChannel({ address, clock: systemClock, ...(credential !== undefined && { credential }) }));
  };
  return {
    under,
    http: `http://127.0.0.1:${under.router.httpPort}`,
    credential: (identity) => credentials[identity],
    channel(identity, door) {
      const place = `${identity} ${door}`;
      const channel = channels.get(place) ?? open(identity, door);
      channels.set(place, channel);
      return channel;
    },
    [Symbol.asyncDispose]: () => parts.disposeAsync(),
  };
}

async function keysOf(under: RouterUnderTest): Promise<Readonly<Record<Identity, string | undefined>>> {
  const { admin } = under;
  const tenant = await under.tenantKey(OWNER);
  const revoked = await under.tenantKey(OWNER);
  await admin.unary(AdminServiceService.revokeKey, { id: revoked.id });
  const expiring = await admin.unary(AdminServiceService.createKey, {
    ...{ tenantId: OWNER, projectId: "", name: "" },
    scopes: [Scope.SCOPE_INFER, Scope.SCOPE_TRAIN],
    expiresAtMs: systemClock.now() + EXPIRY_MS,
  });
  const suspended = await under.tenantKey("late-payer");
  await admin.unary(AdminServiceService.suspendTenant, { id: "late-payer" });
  await systemClock.after(EXPIRY_MS);
  return {
    nobody: undefined,
    "malformed key": "dp_nonsense",
    "unknown key": `dp_${"0".repeat(16)}_${"0".repeat(48)}`,
    "wrong secret": `dp_${tenant.id}_${"0".repeat(48)}`,
    "revoked key": revoked.text,
    "expired key": expiring.secret,
    "suspended tenant": suspended.text,
    "infer only": (await under.tenantKey(OWNER, [Scope.SCOPE_INFER])).text,
    "train only": (await under.tenantKey(OWNER, [Scope.SCOPE_TRAIN])).text,
    tenant: tenant.text,
    operator: under.adminKey,
    cluster: CLUSTER_KEY,
  };
}

/** A node agent without a base: who may ask it is decided before what. */
async function startNode(parts: AsyncDisposableStack): Promise<number> {
  const cacheDirectory = await mkdtemp(join(tmpdir(), "deltaplane-access-"));
  parts.defer(() => rm(cacheDirectory, { recursive: true, force: true }));
  const agent = parts.use(
    await startNodeAgent(
      { clock: systemClock, random: seededRandom(1), log: pino({ level: "silent" }), registry: new Registry() },
      {
        ...{ id: "n1", listen: "127.0.0.1:0", bases: [], cacheDirectory, clusterKey: CLUSTER_KEY },
        ...{ schedulers: [], routers: [], threads: 1 },
      },
    ),
  );
  return agent.port;
}

async function startCluster(parts: AsyncDisposableStack): Promise<number> {
  const deps = { clock: systemClock, random: seededRandom(1), log: pino({ level: "silent" }), registry: new Registry() };
  return parts.use(await startScheduler(deps, { listen: "127.0.0.1:0", clusterKey: CLUSTER_KEY })).port;
}

/** Pushes a delta, and gives its names: full, digest, alias. */
export async function pushDelta(
  channel: GrpcChannel,
  name: string,
): Promise<{ readonly full: string; readonly digest: string; readonly alias: string }> {
  const upload = async function* (): AsyncGenerator<PushDeltaRequest> {
    yield { part: { $case: "header", value: { base: BASE_NAME, name, tenantId: "" } } };
    yield { part: { $case: "config", value: Buffer.from("{}") } };
    yield { part: { $case: "weights", value: Buffer.from(name) } };
  };
  const { delta, alias } = await channel.clientStream(ModelServiceService.pushDelta, upload());
  return { full: delta!.name, digest: delta!.reference!.digest, alias };
}

/** Uploads a training file of the owner's, and gives its id. */
export async function uploadFile(live: LiveSystem): Promise<string> {
  const upload = async function* (): AsyncGenerator<UploadFileRequest> {
    yield { part: { $case: "header", value: { filename: "mine.jsonl", purpose: "fine-tune", expiresAtMs: 0, tenantId: "" } } };
    yield { part: { $case: "bytes", value: Buffer.from('{"prompt":"a","completion":" b"}\n') } };
  };
  const { file } = await live.channel("tenant", "customers").clientStream(FineTuningServiceService.uploadFile, upload());
  return file!.id;
}

/** What a call came to. */
export type Outcome<T> = { readonly kind: "answer"; readonly answer: T } | { readonly kind: "fault"; readonly fault: Fault };

export async function outcomeOf<T>(work: () => Promise<T>): Promise<Outcome<T>> {
  try {
    return { kind: "answer", answer: await work() };
  } catch (error) {
    return { kind: "fault", fault: error as Fault };
  }
}
