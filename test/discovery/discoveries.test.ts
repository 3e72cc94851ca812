import { Registry as Metrics } from "prom-client";
import { describe } from "vitest";
import { fixedDiscovery, type Log, seededRandom, systemClock, systemRandom } from "#kernel";
import { createEndpointDiscovery, createKubernetesMetrics, openKubernetesApi, type Resource } from "#kubernetes";
import { openRedisRegistry, type Registry } from "#state";
import { redisMissing, startRedisServer } from "../../state/redis/testing/redis-server.ts";
import { NO_FAULTS, openTestCluster } from "../kubernetes/test-cluster.ts";
import { type DiscoveryPlace, describeDiscovery, FIRST, parsePeer } from "./discovery-suite.ts";

const SILENT: Log = { info: () => undefined, warn: () => undefined, error: () => undefined };

describeDiscovery("a list", async () => ({ discovery: fixedDiscovery(FIRST), [Symbol.asyncDispose]: async () => undefined }), false);

describe.skipIf(NO_FAULTS !== undefined)("on Kubernetes", () => describeDiscovery("EndpointSlices", endpointSlices, true));

const missing = redisMissing();
if (missing !== undefined) console.warn(`skipped, for ${missing}: peers found by a registry in Redis`);
describe.skipIf(missing !== undefined)("outside", () => describeDiscovery("a registry in Redis", redisRegistry, true));

async function endpointSlices(): Promise<DiscoveryPlace> {
  const resource: Resource = { group: "discovery.k8s.io", version: "v1", plural: "endpointslices", kind: "EndpointSlice" };
  await using parts = new AsyncDisposableStack();
  const cluster = parts.use(await openTestCluster());
  const api = parts.use(openKubernetesApi({ clock: systemClock }, cluster));
  const metadata = { name: "routers-1", labels: { "kubernetes.io/service-name": "routers" } };
  const port = (address: string) => Number(address.split(":")[1]);
  // A slice has one port for all: so each peer has a slice.
  const slice = (address: string, draining: boolean) => ({
    metadata: { ...metadata, name: `routers-${port(address)}` },
    addressType: "IPv4",
    endpoints: [{ addresses: ["127.0.0.1"], conditions: { ready: !draining, serving: true, terminating: draining } }],
    ports: [{ name: "grpc", port: port(address), protocol: "TCP" }],
  });
  const set = async (peers: readonly string[]) => {
    const { items } = await cluster.api.list(resource, {});
    const wanted = new Map(peers.map(parsePeer).map((peer) => [`routers-${port(peer.address)}`, slice(peer.address, peer.draining)]));
    for (const { metadata: old } of items) if (!wanted.has(old.name)) await cluster.api.remove(resource, old.name);
    for (const [name, object] of wanted) {
      const old = items.find((item) => item.metadata.name === name);
      if (!old) await cluster.api.create(resource, object);
      else {
        const resourceVersion = old.metadata.resourceVersion!;
        await cluster.api.replace(resource, "object", { ...object, metadata: { ...object.metadata, resourceVersion } });
      }
    }
  };
  await set(FIRST);
  const { faults } = cluster.server;
  const deps = { api, clock: systemClock, random: seededRandom(1), log: SILENT, metrics: createKubernetesMetrics(new Metrics()) };
  const owned = parts.move();
  return {
    discovery: createEndpointDiscovery(deps, { service: "routers", port: "grpc", pace: { watchMs: 1_000, graceMs: 300 } }),
    source: {
      set,
      async fallSilent() {
        faults.silent = true;
        faults.dropWatches();
      },
      async speakAgain() {
        faults.silent = false;
      },
    },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

async function redisRegistry(): Promise<DiscoveryPlace> {
  await using parts = new AsyncDisposableStack();
  const server = parts.use(await startRedisServer());
  const deps = { clock: systemClock, random: systemRandom(), log: SILENT };
  const open = () => openRedisRegistry(server.url, deps, { termMs: 1_000, beatMs: 50, callMs: 300, bridgeMs: 0 });
  const members = new Map<string, Registry>();
  const set = async (peers: readonly string[]) => {
    const wanted = peers.map(parsePeer);
    for (const [address, member] of members) {
      if (wanted.some((peer) => peer.address === address)) continue;
      members.delete(address);
      await member[Symbol.asyncDispose]();
    }
    for (const { address, draining } of wanted) {
      const member = members.get(address) ?? (await open());
      if (!members.has(address)) member.announce({ kind: "router", name: address, address });
      if (draining) member.drain();
      members.set(address, member);
    }
  };
  await set(FIRST);
  parts.defer(() => set([]));
  const watcher = parts.use(await open());
  const owned = parts.move();
  return {
    discovery: watcher.discovery("router"),
    source: {
      set,
      fallSilent: () => server.kill(),
      speakAgain: () => server.start(),
    },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}
