import { Registry } from "prom-client";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { type Log, type PeerAddress, seededRandom, systemClock } from "#kernel";
import {
  createEndpointDiscovery,
  createKubernetesMetrics,
  type KubernetesApi,
  type KubernetesObject,
  type MirrorDeps,
  openKubernetesApi,
  type Resource,
} from "#kubernetes";
import { NO_FAULTS, openTestCluster, type TestCluster, until } from "./test-cluster.ts";

const SLICES: Resource = { group: "discovery.k8s.io", version: "v1", plural: "endpointslices", kind: "EndpointSlice" };
const SILENT: Log = { info: () => undefined, warn: () => undefined, error: () => undefined };
/** Fast enough for a test; a watch of a real server lasts a second at least. */
const PACE = { watchMs: 1000, graceMs: 300, relistMs: 60_000 };

let cluster: TestCluster;
const opened: AsyncDisposable[] = [];

beforeAll(async () => {
  cluster = await openTestCluster();
});
afterEach(async () => {
  for (const part of opened.splice(0).reverse()) await part[Symbol.asyncDispose]();
});
afterAll(() => cluster[Symbol.asyncDispose]());

interface Conditions {
  readonly ready?: boolean;
  readonly serving?: boolean;
  readonly terminating?: boolean;
}

let services = 0;

/** A headless Service of its own for a test, and somebody who follows it. */
function follow(pace: Partial<typeof PACE> = {}) {
  const service = `routers-${++services}`;
  const api: KubernetesApi = openKubernetesApi({ clock: systemClock }, cluster);
  const registry = new Registry();
  const deps: MirrorDeps = {
    ...{ api, clock: systemClock, random: seededRandom(services), log: SILENT },
    metrics: createKubernetesMetrics(registry),
  };
  const stop = new AbortController();
  const seen: (readonly PeerAddress[])[] = [];
  const reading = (async () => {
    const discovery = createEndpointDiscovery(deps, { service, port: "grpc", pace: { ...PACE, ...pace } });
    for await (const peers of discovery.watch(stop.signal)) seen.push(peers);
  })();
  opened.push({
    async [Symbol.asyncDispose]() {
      stop.abort();
      await reading;
      await api[Symbol.asyncDispose]();
    },
  });
  return {
    /** Who is known now: `!` marks those that drain. */
    known: () => seen.at(-1)?.map(({ address, draining }) => address + (draining ? "!" : "")),
    news: () => seen.length,
    /** Of the metric, for this service. */
    async metric(name: string): Promise<number> {
      const { values } = await registry.getSingleMetric(name)!.get();
      return values.find(({ labels }) => labels["watch"] === `endpointslices/${service}`)?.value ?? 0;
    },
    slice: (name: string, endpoints: Record<string, Conditions>, more: object = {}) =>
      slice(service, `${service}-${name}`, endpoints, more),
    put: (object: KubernetesObject) => put(object),
    path: (name: string) => `/apis/discovery.k8s.io/v1/namespaces/${cluster.namespace}/endpointslices/${service}-${name}`,
    remove: (name: string) => cluster.api.remove(SLICES, `${service}-${name}`),
  };
}

function slice(service: string, name: string, endpoints: Record<string, Conditions>, more: object): KubernetesObject {
  return {
    metadata: { name, labels: { "kubernetes.io/service-name": service } },
    addressType: "IPv4",
    endpoints: Object.entries(endpoints).map(([address, conditions]) => ({ addresses: [address], conditions })),
    ports: [
      { name: "http", port: 8080, protocol: "TCP" },
      { name: "grpc", port: 50051, protocol: "TCP" },
    ],
    ...more,
  };
}

async function put(object: KubernetesObject): Promise<void> {
  const old = await cluster.api.get(SLICES, object.metadata.name);
  const written = old
    ? await cluster.api.replace(SLICES, "object", {
        ...object,
        metadata: { ...object.metadata, resourceVersion: old.metadata.resourceVersion! },
      })
    : await cluster.api.create(SLICES, object);
  expect(written.kind).toBe("written");
}

const READY: Conditions = { ready: true, serving: true, terminating: false };
const DRAINING: Conditions = { ready: false, serving: true, terminating: true };
const UNREADY: Conditions = { ready: false, serving: false, terminating: false };
const GONE_SOON: Conditions = { ready: false, serving: false, terminating: true };

describe("a headless Service", () => {
  it("is its pods that serve, from all of its slices, at the port of that name", async () => {
    const { slice, put, known } = follow();
    await put(slice("one", { "10.0.0.1": READY, "10.0.0.2": UNREADY }));
    await put(slice("two", { "10.0.0.3": {}, "10.0.0.4": DRAINING, "10.0.0.5": GONE_SOON }));
    await put(slice("other-port", { "10.0.0.6": READY }, { ports: [{ name: "http", port: 8080, protocol: "TCP" }] }));
    await until(() => known()?.length === 3);
    expect(known()).toEqual(["10.0.0.1:50051", "10.0.0.3:50051", "10.0.0.4:50051!"]);
  });

  it("is told anew when a pod comes, drains or goes, and only then", async () => {
    const { slice, put, remove, known, news } = follow();
    await until(() => known() !== undefined);
    expect(known()).toEqual([]);
    await put(slice("one", { "10.0.0.1": READY }));
    await until(() => known()?.length === 1);
    await put(slice("one", { "10.0.0.1": DRAINING, "10.0.0.2": READY }));
    await until(() => known()?.length === 2);
    expect(known()).toEqual(["10.0.0.1:50051!", "10.0.0.2:50051"]);
    await put(slice("one", { "10.0.0.1": DRAINING, "10.0.0.2": READY }, { metadata: slice("one", {}).metadata }));
    await remove("one");
    await until(() => known()?.length === 0);
    expect(news()).toBe(4);
  });

  it("of two families has each pod once", async () => {
    const { slice, put, known } = follow();
    await put(slice("six", { "fd00::1": READY }, { addressType: "IPv6" }));
    await until(() => known()?.length === 1);
    expect(known()).toEqual(["[fd00::1]:50051"]);
    await put(slice("four", { "10.0.0.1": READY }));
    await until(() => known()?.[0]?.startsWith("10.") === true);
    expect(known()).toEqual(["10.0.0.1:50051"]);
  });

  it("is followed over the end of many watches, without listing again", async () => {
    const { slice, put, known, metric } = follow();
    await until(() => known() !== undefined);
    for (let pod = 1; pod <= 3; pod++) {
      await systemClock.after(600);
      await put(slice(`slice-${pod}`, { [`10.0.0.${pod}`]: READY }));
      await until(() => known()?.length === pod);
    }
    expect(await metric("deltaplane_kubernetes_relists_total")).toBe(1);
    expect(await metric("deltaplane_kubernetes_watch_failures_total")).toBe(0);
  });
});

describe.skipIf(NO_FAULTS !== undefined)("a watch of the API server goes on", () => {
  afterEach(() => {
    Object.assign(cluster.server.faults, { stallNextWatches: 0, refuseNext: 0, refusalStatus: 500, silent: false, expireByStatus: false });
  });

  it("when its connection is dropped, missing nothing", async () => {
    const { slice, put, known } = follow({ watchMs: 60_000 });
    await until(() => known() !== undefined);
    for (let pod = 1; pod <= 5; pod++) {
      cluster.server.faults.dropWatches();
      await put(slice(`slice-${pod}`, { [`10.0.0.${pod}`]: READY }));
    }
    await until(() => known()?.length === 5);
  });

  it("when it stalls: nothing comes, nobody ends it", async () => {
    const { faults } = cluster.server;
    faults.stallNextWatches = 1;
    const { slice, put, known, metric } = follow({ watchMs: 500, graceMs: 100 });
    await put(slice("one", { "10.0.0.1": READY }));
    await until(() => known()?.length === 1);
    expect(await metric("deltaplane_kubernetes_watch_failures_total")).toBeLessThanOrEqual(1);
    await until(() => faults.stallNextWatches === 0);
    await put(slice("two", { "10.0.0.2": READY }));
    await until(() => known()?.length === 2);
    expect(await metric("deltaplane_kubernetes_watch_failures_total")).toBe(1);
  });

  it.each([true, false])(
    "when its version is forgotten (410 as the HTTP status: %s): everything is listed anew",
    async (expireByStatus) => {
      const { slice, put, path, known, metric } = follow({ watchMs: 60_000 });
      await put(slice("one", { "10.0.0.1": READY }));
      await put(slice("two", { "10.0.0.2": READY }));
      await until(() => known()?.length === 2);
      cluster.server.faults.expireByStatus = expireByStatus;
      cluster.server.removeUnheard(path("one"));
      await until(() => known()?.length === 1);
      expect(known()).toEqual(["10.0.0.2:50051"]);
      expect(await metric("deltaplane_kubernetes_relists_total")).toBe(2);
    },
  );

  it("when the server answers with errors, or not at all; the staleness says for how long nothing was heard", async () => {
    const { faults } = cluster.server;
    Object.assign(faults, { refuseNext: 3 });
    const { slice, known, metric } = follow();
    await until(() => known() !== undefined);
    expect(await metric("deltaplane_kubernetes_watch_failures_total")).toBe(3);
    expect(await metric("deltaplane_kubernetes_staleness_seconds")).toBeLessThan(1);
    faults.silent = true;
    faults.dropWatches();
    await until(async () => (await metric("deltaplane_kubernetes_staleness_seconds")) > 0.5);
    faults.silent = false;
    await put(slice("one", { "10.0.0.1": READY }));
    await until(() => known()?.length === 1);
  });

  it("and is never asked for in a tight loop", async () => {
    const { faults, requests } = cluster.server;
    Object.assign(faults, { refuseNext: 1_000_000 });
    follow();
    const before = requests.length;
    await systemClock.after(1000);
    expect(requests.length - before).toBeLessThanOrEqual(8); // 50 to 100 ms at first, and twice that each time.
  });
});
