import { Registry } from "prom-client";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { asBaseDigest, asDeltaDigest, asTenantId, Fault, seededRandom, systemClock } from "#kernel";
import {
  createKubernetesMetrics,
  type KubernetesApi,
  type KubernetesObject,
  type OpenDeltaSource,
  openKubernetesApi,
  type Resource,
  startController,
} from "#kubernetes";
import { AdminServiceService, BudgetPeriod, type GrpcChannel, ModelServiceService } from "#proto";
import { BASE_DIGEST, BASE_NAME, nodeView, snapshotOf } from "../../router/testing/cluster-of.ts";
import { type RouterUnderTest, runRouter } from "../../router/testing/running-router.ts";
import { scriptedNode } from "../../router/testing/scripted-node.ts";
import { installDefinitions, NO_FAULTS, openTestCluster, type TestCluster, until } from "./test-cluster.ts";

const GROUP = { group: "deltaplane.dev", version: "v1alpha1" };
const BASE_MODELS: Resource = { ...GROUP, plural: "basemodels", kind: "BaseModel" };
const DELTAS: Resource = { ...GROUP, plural: "deltas", kind: "Delta" };
const TENANTS: Resource = { ...GROUP, plural: "tenants", kind: "Tenant" };

/** What the node finds in every folder. */
const BASE = {
  ...{ digest: BASE_DIGEST, architecture: "llama", contextTokensMax: 512 },
  ...{ vocabularySize: 1000, parameterCount: 1_000_000, weightType: "float32" },
};

let cluster: TestCluster;
let router: RouterUnderTest;
let parts: AsyncDisposableStack;
/** What lies in the folder of deltas, by path. */
let folder: Map<string, string>;
/** Whether the controller under test leads. */
let leads: boolean;

beforeAll(async () => {
  cluster = await openTestCluster();
  await installDefinitions(cluster);
});
afterAll(() => cluster[Symbol.asyncDispose]());

beforeEach(async () => {
  parts = new AsyncDisposableStack();
  router = parts.use(await runRouter({ a: { ...scriptedNode(), attachBase: async (folder) => ({ base: { ...BASE, ...folder } }) } }));
  folder = new Map([["one", "first weights"]]);
  leads = true;
});
afterEach(async () => {
  for (const resource of [DELTAS, BASE_MODELS, TENANTS]) {
    for (const { metadata } of (await cluster.api.list(resource, {})).items) await cluster.api.remove(resource, metadata.name);
    await until(async () => (await cluster.api.list(resource, {})).items.length === 0);
  }
  await parts.disposeAsync();
});

const openSource: OpenDeltaSource = (place) => {
  const text = "path" in place ? folder.get(place.path) : undefined;
  if (text === undefined) throw new Fault("file_missing", `${JSON.stringify(place)} is not there`);
  const bytes = async function* (content: string) {
    yield Buffer.from(content);
  };
  return { config: () => bytes("{}"), weights: () => bytes(text) };
};

/** A controller of its own connection, that looks again often. */
function control(router: { readonly operator: GrpcChannel; readonly admin: GrpcChannel }, leading = () => leads): void {
  const api: KubernetesApi = parts.use(openKubernetesApi({ clock: systemClock }, cluster));
  const log = { info: () => undefined, warn: () => undefined, error: () => undefined };
  parts.use(
    startController(
      {
        ...{ api, clock: systemClock, random: seededRandom(1), log, openSource, leading },
        doors: { router: router.operator, admin: router.admin },
        metrics: createKubernetesMetrics(new Registry()),
      },
      { pace: { watchMs: 5000, graceMs: 500 }, resyncMs: 200, retryMsMin: 50, retryMsMax: 200 },
    ),
  );
}

async function make(resource: Resource, name: string, spec: object): Promise<void> {
  expect((await cluster.api.create(resource, { metadata: { name }, spec })).kind).toBe("written");
}

/** Changes the spec as `kubectl edit` does: again when somebody was first. */
async function edit(resource: Resource, name: string, change: (spec: Record<string, unknown>) => object): Promise<void> {
  await until(async () => {
    const object = (await cluster.api.get(resource, name))!;
    const spec = change(object.spec as Record<string, unknown>);
    return (await cluster.api.replace(resource, "object", { ...object, spec })).kind === "written";
  });
}

interface Status {
  readonly observedGeneration?: number;
  readonly model?: string;
  readonly published?: readonly string[];
  readonly conditions?: readonly { readonly type: string; readonly status: string; readonly reason: string; readonly message: string }[];
}

async function statusOf(resource: Resource, name: string): Promise<Status> {
  return ((await cluster.api.get(resource, name))?.status ?? {}) as Status;
}

/** Waits until the object's newest generation was looked at and Ready is so. */
async function ready(resource: Resource, name: string, status: "True" | "False", reason?: string): Promise<Status> {
  await until(async () => {
    const object = (await cluster.api.get(resource, name)) as KubernetesObject;
    const now = (object.status ?? {}) as Status;
    const condition = now.conditions?.find(({ type }) => type === "Ready");
    const current = now.observedGeneration === object.metadata.generation;
    return current && condition?.status === status && (reason === undefined || condition.reason === reason);
  });
  return statusOf(resource, name);
}

const gone = (resource: Resource, name: string) => until(async () => (await cluster.api.get(resource, name)) === undefined);

async function delta(name: string): Promise<string | undefined> {
  try {
    return (await router.operator.unary(ModelServiceService.getDelta, { name })).delta?.name;
  } catch {
    return undefined;
  }
}

const tenant = async (id: string) => (await router.admin.unary(AdminServiceService.getTenant, { id })).tenant;
const SUPPORT = { tenant: "acme", base: BASE_NAME, name: "support", source: { path: "one" } };

describe("a Tenant", () => {
  it("is a tenant of the catalogue, whose limits, budget and suspension are the object's", async () => {
    control(router);
    const budget = { usd: "12.50", period: "Month" };
    await make(TENANTS, "acme", { limits: { requestsPerMinute: 60 }, budget });
    await ready(TENANTS, "acme", "True");
    expect(await tenant("acme")).toMatchObject({
      limits: { requestsPerMinute: 60 },
      budget: { usd: "12.50", period: BudgetPeriod.BUDGET_PERIOD_MONTH },
      suspendedAtMs: 0,
    });
    await edit(TENANTS, "acme", () => ({ limits: { concurrentRequests: 4 }, suspended: true }));
    await ready(TENANTS, "acme", "True");
    const changed = await tenant("acme");
    expect(changed?.limits).toEqual({ concurrentRequests: 4 });
    expect(changed?.budget).toBeUndefined();
    expect(changed?.suspendedAtMs).toBeGreaterThan(0);
  });

  it("is put right when somebody else changes it", async () => {
    control(router);
    await make(TENANTS, "acme", { limits: { requestsPerMinute: 60 } });
    await ready(TENANTS, "acme", "True");
    const change = { id: "acme", limits: { requestsPerMinute: 1 }, budget: undefined, removeBudget: false, pricePlan: "" };
    await router.admin.unary(AdminServiceService.updateTenant, change);
    await until(async () => (await tenant("acme"))?.limits?.requestsPerMinute === 60);
  });

  it("stays suspended when an operator suspends it and the object says nothing of it", async () => {
    control(router);
    await make(TENANTS, "acme", {});
    await ready(TENANTS, "acme", "True");
    await router.admin.unary(AdminServiceService.suspendTenant, { id: "acme" });
    await ready(TENANTS, "acme", "False", "Suspended");
    await edit(TENANTS, "acme", () => ({ suspended: false }));
    await ready(TENANTS, "acme", "True");
    expect((await tenant("acme"))?.suspendedAtMs).toBe(0);
  });

  it("is suspended, and not forgotten, when the object is deleted", async () => {
    control(router);
    await make(TENANTS, "acme", {});
    await ready(TENANTS, "acme", "True");
    await cluster.api.remove(TENANTS, "acme");
    await gone(TENANTS, "acme");
    expect((await tenant("acme"))?.suspendedAtMs).toBeGreaterThan(0);
  });
});

describe("a BaseModel", () => {
  it("is a base of the catalogue, and waits with its end for the deltas that refer to it", async () => {
    control(router);
    await make(BASE_MODELS, BASE_NAME, { directory: "/models/demo" });
    expect(await ready(BASE_MODELS, BASE_NAME, "True")).toMatchObject({
      architecture: "llama",
      digest: BASE_DIGEST,
      contextTokensMax: 512,
    });
    const { bases } = await router.operator.unary(ModelServiceService.listBases, {});
    expect(bases.find(({ name }) => name === BASE_NAME)?.directory).toBe("/models/demo");
    await make(TENANTS, "acme", {});
    await make(DELTAS, "acme-support", SUPPORT);
    await ready(DELTAS, "acme-support", "True");
    await cluster.api.remove(BASE_MODELS, BASE_NAME);
    await until(async () => (await statusOf(BASE_MODELS, BASE_NAME)).conditions?.[0]?.reason === "ResourceInUse");
    await cluster.api.remove(DELTAS, "acme-support");
    await gone(DELTAS, "acme-support");
    await gone(BASE_MODELS, BASE_NAME);
  });
});

describe("a Delta", () => {
  it("waits for its tenant, says why, and is published when the tenant is there", async () => {
    control(router);
    await make(DELTAS, "acme-support", SUPPORT);
    const waiting = await ready(DELTAS, "acme-support", "False");
    expect(waiting.conditions?.[0]?.reason).toBe("ResourceUnknown");
    await make(TENANTS, "acme", {});
    const { model } = await ready(DELTAS, "acme-support", "True");
    expect(model).toMatch(/^ft:.*:acme:support:/);
    expect(await delta("acme/support")).toBe(model);
  });

  it("publishes another delta and switches the name when its source changes, and takes all of them away with it", async () => {
    control(router);
    folder.set("two", "second weights");
    await make(TENANTS, "acme", {});
    await make(DELTAS, "acme-support", SUPPORT);
    const { model: first } = await ready(DELTAS, "acme-support", "True");
    await edit(DELTAS, "acme-support", (spec) => ({ ...spec, source: { path: "two" } }));
    const { model: second, published } = await ready(DELTAS, "acme-support", "True");
    expect(second).not.toBe(first);
    expect(published).toEqual([first, second]);
    expect(await delta("acme/support")).toBe(second);
    expect(await delta(first!)).toBe(first);
    await edit(DELTAS, "acme-support", (spec) => ({ ...spec, source: { path: "one" } }));
    expect((await ready(DELTAS, "acme-support", "True")).model).toBe(first);
    await cluster.api.remove(DELTAS, "acme-support");
    await gone(DELTAS, "acme-support");
    for (const name of ["acme/support", first!, second!]) expect(await delta(name)).toBeUndefined();
  });

  it("is pinned as the object says, and its name is pointed back when somebody moved it", async () => {
    control(router);
    folder.set("other", "other weights");
    await make(TENANTS, "acme", {});
    await make(DELTAS, "acme-support", { ...SUPPORT, pinned: true });
    await make(DELTAS, "acme-other", { ...SUPPORT, name: "other", source: { path: "other" } });
    const { model } = await ready(DELTAS, "acme-support", "True");
    const { model: other } = await ready(DELTAS, "acme-other", "True");
    expect((await router.operator.unary(ModelServiceService.getDelta, { name: model! })).delta?.pinned).toBe(true);
    const alias = { name: "acme/support", targets: [{ delta: other!, weight: 1 }], previous: [] };
    await router.operator.unary(ModelServiceService.setAlias, { alias });
    await until(async () => (await delta("acme/support")) === model);
  });

  it("takes its name away at once, and the rest when no request runs with it", async () => {
    control(router);
    await make(TENANTS, "acme", {});
    await make(DELTAS, "acme-support", SUPPORT);
    const { model } = await ready(DELTAS, "acme-support", "True");
    const { delta: record } = await router.operator.unary(ModelServiceService.getDelta, { name: model! });
    const used = (references: number) => {
      const { digest, tenantId, baseDigest } = record!.reference!;
      const ids = { tenantId: asTenantId(tenantId), baseDigest: asBaseDigest(baseDigest) };
      const residency = { tier: "slot", state: "ready", rank: 8, sizeBytes: 4096, references, pinned: false, ...ids } as const;
      router.cluster.set(snapshotOf([nodeView("a", { deltas: new Map([[asDeltaDigest(digest), residency]]) })]));
    };
    used(1);
    await cluster.api.remove(DELTAS, "acme-support");
    await until(async () => (await statusOf(DELTAS, "acme-support")).conditions?.[0]?.reason === "Draining");
    expect(await delta("acme/support")).toBeUndefined();
    expect(await delta(model!)).toBe(model);
    used(0);
    await gone(DELTAS, "acme-support");
    expect(await delta(model!)).toBeUndefined();
  });

  it("says what is wrong with its source", async () => {
    control(router);
    await make(TENANTS, "acme", {});
    await make(DELTAS, "acme-support", { ...SUPPORT, source: { path: "nowhere" } });
    const { conditions } = await ready(DELTAS, "acme-support", "False", "FileMissing");
    expect(conditions?.[0]?.message).toContain("nowhere");
    folder.set("nowhere", "here it is");
    await ready(DELTAS, "acme-support", "True");
  });

  it("leaves a name alone that belongs to an older object", async () => {
    control(router);
    await make(TENANTS, "acme", {});
    await make(DELTAS, "a-first", SUPPORT);
    const { model } = await ready(DELTAS, "a-first", "True");
    folder.set("two", "second weights");
    await make(DELTAS, "b-second", { ...SUPPORT, source: { path: "two" } });
    await ready(DELTAS, "b-second", "False", "NameTaken");
    await cluster.api.remove(DELTAS, "b-second");
    await gone(DELTAS, "b-second");
    expect(await delta("acme/support")).toBe(model);
  });
});

describe("a controller", () => {
  it("does nothing, and writes nothing, unless it leads", async () => {
    leads = false;
    control(router);
    await make(TENANTS, "acme", {});
    await systemClock.after(300);
    const object = (await cluster.api.get(TENANTS, "acme"))!;
    expect(object.metadata.finalizers).toBeUndefined();
    expect(object.status).toBeUndefined();
    await expect(tenant("acme")).rejects.toMatchObject({ reason: "resource_unknown" });
    leads = true;
    await ready(TENANTS, "acme", "True");
  });

  it.skipIf(NO_FAULTS !== undefined)("writes no status when nothing is new, however often it looks", async () => {
    control(router);
    await make(TENANTS, "acme", {});
    await make(DELTAS, "acme-support", SUPPORT);
    await make(BASE_MODELS, BASE_NAME, { directory: "/models/demo" });
    await ready(TENANTS, "acme", "True");
    await ready(DELTAS, "acme-support", "True");
    await ready(BASE_MODELS, BASE_NAME, "True");
    const writes = () => cluster.server.requests.filter((request) => request.startsWith("PUT")).length;
    const before = writes();
    await systemClock.after(1000);
    expect(writes()).toBe(before);
  });

  it("goes on where another left off: everything it finds is looked at", async () => {
    const first = new AsyncDisposableStack();
    const outer = parts;
    parts = first;
    control(router);
    await make(TENANTS, "acme", {});
    await ready(TENANTS, "acme", "True");
    await first.disposeAsync();
    parts = outer;
    await edit(TENANTS, "acme", () => ({ limits: { maxTokens: 100 } }));
    await make(DELTAS, "acme-support", SUPPORT);
    control(router);
    await ready(DELTAS, "acme-support", "True");
    await ready(TENANTS, "acme", "True");
    expect((await tenant("acme"))?.limits).toEqual({ maxTokens: 100 });
  });

  it("and another one that both believe to lead come to the same end", async () => {
    control(router);
    control(router);
    await make(TENANTS, "acme", { limits: { requestsPerMinute: 60 } });
    await make(DELTAS, "acme-support", SUPPORT);
    const { model, published } = await ready(DELTAS, "acme-support", "True");
    expect(published).toEqual([model]);
    expect((await router.operator.unary(ModelServiceService.listDeltas, { tenantId: "acme" })).deltas).toHaveLength(1);
  });
});
