import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { hasOpenssl } from "../../proto/testing/certificates.ts";
import { checkLeader } from "./leader.ts";
import { type LiveCluster, startLiveCluster } from "./live-cluster.ts";
import { checkRedisAway } from "./redis-away.ts";
import { hasRedisServer } from "./redis-server.ts";
import { RESILIENCE_CLUSTER } from "./resilience-campaigns.ts";
import { checkRollingRestart } from "./rolling-restart.ts";
import { SteadyLoad } from "./steady-load.ts";
import { checkStoppedNode } from "./stopped-node.ts";

/**
 * Short forms: nobody notices, whatever the machine's speed. How fast a stopped node is noticed and a leader replaced is
 * measured by `test/campaign/main.ts`.
 */
vi.setConfig({ testTimeout: 240_000, hookTimeout: 240_000 });
const seed = Number(process.env["DELTAPLANE_SEED"] ?? Date.now() % 1_000_000);
/** Low: a test machine starts programs at the same time. */
const RATE_PER_SECOND = 4;

describe.skipIf(!hasRedisServer() || !hasOpenssl())("two of everything, with TLS between them", () => {
  let cluster: LiveCluster;
  let load: SteadyLoad;
  beforeAll(async () => {
    console.log(`DELTAPLANE_SEED=${seed}`);
    cluster = await startLiveCluster({ ...RESILIENCE_CLUSTER, nodes: 2, seed });
    load = await SteadyLoad.prepare(cluster, seed);
  });
  afterAll(async () => {
    load?.[Symbol.dispose]();
    await cluster?.[Symbol.asyncDispose]();
  });

  test("a router, a scheduler, a node and the store are restarted, and no request fails", async () => {
    const { figures, violations } = await checkRollingRestart(cluster, load, {
      ratePerSecond: RATE_PER_SECOND,
      requests: 0,
      oneOfEach: true,
    });
    expect(violations).toEqual([]);
    expect(figures).toMatchObject({ failed: 0, restarts: 4 });
  });

  test("the scheduler that leads is killed: another one leads, and no request fails", async () => {
    const { violations } = await checkLeader(cluster, load, { ratePerSecond: RATE_PER_SECOND, times: 1 });
    expect(violations).toEqual([]);
  });

  test("without the store what is hot is served, what needs it says so, and the books are whole afterwards", async () => {
    const { figures, violations } = await checkRedisAway(cluster, load, { ratePerSecond: RATE_PER_SECOND, seconds: 2 });
    expect(violations).toEqual([]);
    expect(figures["requests_while_away"]).toBeGreaterThan(0);
  });

  test("the streams of a node that stands still go on elsewhere", async () => {
    const { violations } = await checkStoppedNode(cluster, load, { times: 1 });
    expect(violations).toEqual([]);
  });
});
