import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { checkBackloggedTenants } from "./backlogged-tenants.ts";
import { checkBudget } from "./budget.ts";
import { checkCancels } from "./cancels.ts";
import { setPrices } from "./customers.ts";
import { checkHotTenant } from "./hot-tenant.ts";
import { type LiveCluster, startLiveCluster } from "./live-cluster.ts";
import { checkOverload } from "./overload.ts";
import { hasRedisServer } from "./redis-server.ts";
import { checkRevocation } from "./revocation.ts";
import { checkStalledReaders } from "./stalled-readers.ts";

/**
 * Short forms: what must hold on any machine, however busy. The tight figures are measured by `test/campaign/main.ts`.
 * Without redis-server the cluster has one router and the embedded store.
 */
vi.setConfig({ testTimeout: 180_000 });
const seed = Number(process.env["DELTAPLANE_SEED"] ?? Date.now() % 1_000_000);
let cluster: LiveCluster;

beforeAll(async () => {
  console.log(`DELTAPLANE_SEED=${seed}`);
  const redis = hasRedisServer();
  cluster = await startLiveCluster({ store: redis ? "redis" : "embedded", routers: redis ? 2 : 1, seed });
  await setPrices(cluster);
});
afterAll(() => cluster?.[Symbol.asyncDispose]());

test("light tenants are all answered beside one that asks for a hundred times as much", async () => {
  const { figures, violations } = await checkHotTenant(cluster, { seed, seconds: 3, promptTokens: 32, answerTokens: 24 });
  expect(violations).toEqual([]);
  expect(figures).toMatchObject({ light_answered_share: 1 });
});

test("tenants with unlike requests get alike service while all of them wait", async () => {
  const { figures, violations } = await checkBackloggedTenants(cluster, { seconds: 3 });
  expect(violations).toEqual([]);
  expect(figures["jain"]).toBeGreaterThan(0.85);
  expect(figures["service_difference_max"]).toBeLessThanOrEqual(figures["service_difference_bound"]!);
});

test("three times too much is shed with advice, and the rest is answered", async () => {
  const { figures, violations } = await checkOverload(cluster, { seed, seconds: 3 });
  expect(violations).toEqual([]);
  expect(figures["goodput_share"]).toBeGreaterThan(0.2);
});

test("a thousand requests at once cannot overspend a budget for ten", async () => {
  expect((await checkBudget(cluster)).violations).toEqual([]);
});

test("a revoked key is refused by every router within 5 s", async () => {
  expect((await checkRevocation(cluster, { times: 3 })).violations).toEqual([]);
});

test("clients that leave at any moment free their rows and pay for what was emitted to them", async () => {
  expect((await checkCancels(cluster, { seed, cancels: 200 })).violations).toEqual([]);
});

test("clients that never read cost little memory and hold up nobody", async () => {
  const { figures, violations } = await checkStalledReaders(cluster, { readers: 40, seconds: 15 });
  expect(violations).toEqual([]);
  expect(figures["router_growth_mb"]).toBeLessThan(100);
  expect(figures["node_growth_mb"]).toBeLessThan(100);
});
