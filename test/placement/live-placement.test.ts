import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { type Clock, systemClock } from "#kernel";
import {
  AdminServiceService,
  type DeltaResidency,
  type GetClusterResponse,
  type GrpcChannel,
  NodeState,
  ResidencyState,
  Tier,
} from "#proto";
import type { Attempt } from "../campaign/ask.ts";
import { addCustomers, type Customer } from "../campaign/customers.ts";
import { askOverGrpc } from "../campaign/grpc-client.ts";
import { type LiveCluster, startLiveCluster } from "../campaign/live-cluster.ts";
import type { LiveScheduler } from "../campaign/live-parts.ts";
import { scrape } from "../campaign/prometheus-text.ts";
import { hasRedisServer } from "../campaign/redis-server.ts";

/** Placement among real processes: two schedulers that share a lease, a router, two nodes. Skipped without redis-server. */
vi.setConfig({ testTimeout: 60_000, hookTimeout: 90_000 });
const seed = Number(process.env["DELTAPLANE_SEED"] ?? Date.now() % 1_000_000);
const it = test.skipIf(!hasRedisServer());
const clock: Clock = systemClock;

let cluster: LiveCluster;
let customers: readonly Customer[];
let channels: ReadonlyMap<Customer, GrpcChannel>;

beforeAll(async () => {
  if (!hasRedisServer()) return;
  console.log(`DELTAPLANE_SEED=${seed}`);
  cluster = await startLiveCluster({ store: "redis", seed, schedulers: 2, nodes: 2, rows: 8 });
  customers = await addCustomers(cluster, ["acme", "globex"]);
  channels = new Map(customers.map((customer) => [customer, cluster.channel(cluster.routers[0]!.grpc, customer.key)]));
});
afterAll(() => cluster?.[Symbol.asyncDispose]());

const ask = (customer: Customer, maxTokens: number): Promise<Attempt> =>
  askOverGrpc(channels.get(customer)!, {
    ...{ model: customer.models[1]!, prompt: "once upon a time", maxTokens, temperature: 0, seed: 1, ignoreEos: true },
  });

/** Asks in so many streams, one request after the other in each, until `during` has ended. */
async function under<T>(
  customer: Customer,
  streams: number,
  maxTokens: number,
  during: () => Promise<T>,
): Promise<[T, readonly Attempt[]]> {
  let over = false;
  const attempts: Attempt[] = [];
  const running = Array.from({ length: streams }, async () => {
    while (!over) attempts.push(await ask(customer, maxTokens));
  });
  try {
    return [await during(), attempts];
  } finally {
    over = true;
    await Promise.all(running);
  }
}

const view = (): Promise<GetClusterResponse> => cluster.admin.unary(AdminServiceService.getCluster, {});
const leads = async ({ metrics }: LiveScheduler) =>
  ((await scrape(metrics).catch(() => undefined))?.sum("deltaplane_scheduler_leads") ?? 0) > 0;

async function until(what: string, waitMs: number, holds: () => Promise<boolean>): Promise<number> {
  const startedAt = clock.monotonic();
  while (!(await holds())) {
    if (clock.monotonic() - startedAt > waitMs) throw new Error(`${what}: not within ${waitMs} ms`);
    await clock.after(50);
  }
  return clock.monotonic() - startedAt;
}

async function leaderAmong(schedulers: readonly LiveScheduler[]): Promise<LiveScheduler> {
  let leader: LiveScheduler | undefined;
  await until("a scheduler leads", 10_000, async () => {
    for (const scheduler of schedulers) if (await leads(scheduler)) leader = scheduler;
    return leader !== undefined;
  });
  return leader!;
}

/** Nodes that have the customer's own delta in a slot or in memory. */
function places({ nodes }: GetClusterResponse, { tenant }: Customer): readonly string[] {
  const isHeld = ({ tier, state }: DeltaResidency) => tier !== Tier.TIER_DISK && state === ResidencyState.RESIDENCY_STATE_READY;
  return nodes.flatMap(({ view: node, deltaNames }) => {
    const own = node!.deltas.filter(({ digest }) => deltaNames[digest]?.includes(`:${tenant}:canary`));
    return own.some(isHeld) ? [node!.id] : [];
  });
}

/** How long a scheduler that was just killed takes to know the cluster, from when it answers again. */
async function recoversWithin(killed: LiveScheduler): Promise<number> {
  await until("it answers again", 10_000, async () => (await scrape(killed.metrics).catch(() => undefined)) !== undefined);
  return until("it knows both nodes", 10_000, async () => {
    const metrics = await scrape(killed.metrics);
    return metrics.sum("deltaplane_nodes") === 2 && (await fetch(killed.ready)).ok;
  });
}

it("when the leader is killed another one leads within 5 s, nobody's request fails, and it knows the cluster 3 s after its next start", async () => {
  const leader = await leaderAmong(cluster.schedulers);
  const others = cluster.schedulers.filter((scheduler) => scheduler !== leader);
  const anotherLeads = () => until("another leads", 10_000, async () => (await Promise.all(others.map(leads))).some(Boolean));
  const [[tookMs, recoveredMs], attempts] = await under(customers[0]!, 2, 6, () => {
    leader.process.kill();
    return Promise.all([anotherLeads(), recoversWithin(leader)]);
  });
  expect(tookMs).toBeLessThan(5000);
  expect(recoveredMs).toBeLessThan(3000);
  expect(attempts.length).toBeGreaterThan(5);
  expect(attempts.filter(({ ending }) => ending !== "completed")).toEqual([]);
  expect((await view()).leader).not.toBe("");
});

it("a delta that is hotter than one node gets a copy on the other, and the command line shows both", async () => {
  const [hot] = customers as [Customer];
  // The commands too: on a busy machine they take as long as it takes to give up a copy that nobody asks for.
  const [[ps, status]] = await under(hot, 20, 64, async () => {
    await until("the leader wants it on both", 30_000, async () => (await view()).copies.some(({ nodeIds }) => nodeIds.length === 2));
    await until("both have it", 10_000, async () => places(await view(), hot).length === 2);
    return Promise.all([cluster.command("ps"), cluster.command("status")]);
  });
  expect(ps.stdout).toMatch(/acme:canary\S*.*node-[12] node-[12].* cpu float32$/m);
  expect(status.stdout).toMatch(/node-1 .*cpu float32 +\d+\.\d MiB/);
  expect(status.stderr).toMatch(/leads \(epoch \d+\)[\s\S]*nodes wanted/);
});

it("a node that is drained hands its hot deltas over first, and can be taken back", async () => {
  const [, warm] = customers as [Customer, Customer];
  for (let time = 0; time < 6; time++) await ask(warm, 16);
  const [home, ...elsewhere] = places(await view(), warm);
  expect(elsewhere).toEqual([]);
  await clock.after(1500); // Its demand is in the next report.
  const drained = await cluster.command("drain", home!);
  expect(drained).toMatchObject({ status: 0, stderr: expect.stringMatching(/is drained/) });
  await until("the router has heard", 5000, async () => {
    const { nodes } = await view();
    return nodes.find(({ view: node }) => node!.id === home)!.view!.state === NodeState.NODE_STATE_DRAINING;
  });
  expect(places(await view(), warm)).toContain(home === "node-1" ? "node-2" : "node-1");
  expect((await ask(warm, 6)).ending).toBe("completed");
  expect((await cluster.command("undrain", home!)).status).toBe(0);
  await until("it is back", 5000, async () => (await view()).nodes.every(({ view: node }) => node!.state === NodeState.NODE_STATE_READY));
});
