import { expect, test } from "vitest";
import {
  asBaseDigest,
  asDeltaDigest,
  asNodeId,
  asTenantId,
  type BaseLoad,
  type NodeView,
  type Residency,
  type Snapshot,
  VirtualClock,
} from "#kernel";
import type { PlacementLimits } from "./base-placement.ts";
import { ClusterPlacement } from "./cluster-placement.ts";
import type { LoadOrder, NodeOrders } from "./node-orders.ts";
import { PlacementRounds } from "./placement-rounds.ts";

const BASE = asBaseDigest("b".repeat(64));
const LIMITS: PlacementLimits = { movesMax: 4, loadsPerNodeMax: 4, idleMsMax: Number.POSITIVE_INFINITY };
/** Of a full node, in tokens per second. */
const NODE_RATE = 100;
const LOAD: BaseLoad = {
  ...{ name: "base", architecture: "llama", vocabularySize: 1, parameterCount: 1, weightType: "float32", directory: "" },
  ...{ contextTokensMax: 2048, rankMax: 64, rowsRunning: 0, rowsMax: 8, queueDepth: 0, queueDepthMax: 32 },
  ...{ slotsUsed: 0, slotsMax: 4, kvTokensUsed: 0, kvTokensMax: 1000, tokensPerSecond: 0 },
  timing: {
    ...{ stepMs: 10, rowMs: 1, promptTokenMs: 1, meanRowMs: 100, promptTokensWaiting: 0, starvedLoads: 0, slotsInUse: 0 },
    ...{ slotLoadMs: 1, ramLoadMs: 5, diskLoadMs: 50, tokensPerSecondMax: NODE_RATE },
  },
};
const IN_RAM: Residency = {
  ...{ tier: "ram", state: "ready", tenantId: asTenantId("acme"), baseDigest: BASE, rank: 0, sizeBytes: 1, references: 0, pinned: false },
};
const digest = (name: string) => asDeltaDigest(name.padEnd(64, "0"));

/** A leader over nodes that do at once what they are told, and report it. */
function clusterOf(...names: readonly string[]) {
  const clock = new VirtualClock();
  const held = new Map(names.map((name) => [name, new Map<ReturnType<typeof digest>, Residency>()]));
  const states = new Map<string, NodeView["state"]>();
  const lead = { epoch: 1 as number | undefined };
  const sent: string[] = [];
  const orders = {
    load({ node, delta, reason, fromStore }: LoadOrder) {
      sent.push(`${reason} ${delta.digest[0]} on ${node.id}${fromStore ? " from the store" : ""}`);
      held.get(node.id)!.set(asDeltaDigest(delta.digest), IN_RAM);
    },
    unload(node: NodeView, delta: { digest: string }) {
      sent.push(`unload ${delta.digest[0]} on ${node.id}`);
      held.get(node.id)!.delete(asDeltaDigest(delta.digest));
    },
    async drain({ id }: NodeView) {
      sent.push(`drain ${id}`);
    },
    keepOnly: () => undefined,
  } as unknown as NodeOrders;
  const placement = new ClusterPlacement();
  const leadership = {
    get epoch() {
      return lead.epoch;
    },
    leader: "me",
    [Symbol.asyncDispose]: async () => undefined,
  };
  const moves: string[] = [];
  const rounds = new PlacementRounds({ clock, placement, leadership, orders, onMove: (kind) => moves.push(kind) }, LIMITS);
  const snapshot = (): Snapshot => ({ version: 1, nodes: new Map([...held.keys()].map((name) => [asNodeId(name), viewOf(name)])) });
  const viewOf = (name: string): NodeView => ({
    ...{ id: asNodeId(name), address: `${name}:1`, epoch: "1", reportedAt: clock.monotonic(), state: states.get(name) ?? "ready" },
    ...{ bases: new Map([[BASE, LOAD]]), deltas: new Map(held.get(name)) },
  });
  const follow = () => placement.follow(snapshot(), clock.monotonic());
  return {
    ...{ clock, held, states, lead, sent, moves, rounds, viewOf, follow },
    /** One more report of a node: so many tokens of a delta, altogether. */
    report(name: string, delta: string, tokens: number, full = false) {
      const view = viewOf(name);
      const demand = [{ digest: digest(delta), tokens, tokensPerSecond: tokens / 10 }];
      const report = { ...view, nodeId: view.id, sequence: 1, full, removed: [], demand };
      placement.take(report, view, clock.monotonic());
    },
    async round() {
      await clock.advance(1000);
      follow();
      return rounds.round(snapshot().nodes);
    },
  };
}

test("a hot delta gets copies, loaded from where it is, and gives them up when it has grown cold", async () => {
  const { held, round, report, sent } = clusterOf("a", "b", "c");
  held.get("a")!.set(digest("1"), IN_RAM);
  await round();
  for (let second = 1; second <= 20; second++) {
    report("a", "1", second * 3 * NODE_RATE);
    await round();
  }
  expect(sent.filter((order) => order.startsWith("copy 1"))).not.toEqual([]);
  expect(sent.join()).not.toContain("from the store");
  expect((await round()).copies.get(digest("1"))).toHaveLength(3);
  for (let second = 0; second < 300; second++) await round();
  const { copies } = await round();
  expect(copies.get(digest("1"))?.length ?? 1).toBe(1);
  expect(sent.filter((order) => order.startsWith("unload 1")).length).toBeGreaterThanOrEqual(1);
  expect([...held.values()].filter((deltas) => deltas.has(digest("1"))).length).toBeLessThan(3);
});

test("a delta that moves stays where it was until its new place has it", async () => {
  const { held, round, report, sent } = clusterOf("a", "b", "c", "d");
  const deltas = ["1", "2", "3", "4", "5", "6", "7", "8"];
  for (const delta of deltas) held.get("a")!.set(digest(delta), IN_RAM);
  await round();
  for (let second = 1; second <= 120; second++) {
    for (const delta of deltas) report("a", delta, second * (NODE_RATE / 4));
    await round();
  }
  const unloads = sent.flatMap((order, index) => (order.startsWith("unload") ? [{ delta: order.split(" ")[1]!, index }] : []));
  for (const { delta, index } of unloads) expect(sent.slice(0, index).some((order) => order.startsWith(`copy ${delta} `))).toBe(true);
  for (const delta of deltas) expect([...held.values()].some((node) => node.has(digest(delta)))).toBe(true);
});

test("at most so many changes a round, and under equal demand none at all", async () => {
  const { held, round, report, moves } = clusterOf("a", "b", "c", "d");
  const deltas = Array.from({ length: 12 }, (_, index) => index.toString(16));
  for (const delta of deltas) held.get("a")!.set(digest(delta), IN_RAM);
  await round();
  for (let second = 1; second <= 240; second++) {
    for (const delta of deltas) report("a", delta, second * NODE_RATE);
    const before = moves.length;
    await round();
    expect(moves.length - before).toBeLessThanOrEqual(LIMITS.movesMax);
  }
  const settled = moves.length;
  for (let second = 241; second <= 260; second++) {
    for (const delta of deltas) report("a", delta, second * NODE_RATE);
    await round();
  }
  expect(moves.length - settled).toBe(0);
});

test("a node that leaves hands over what is asked for and nowhere else, before it is told to drain", async () => {
  const { held, round, report, sent, rounds, viewOf, follow, clock } = clusterOf("a", "b");
  held.get("a")!.set(digest("1"), IN_RAM);
  held.get("a")!.set(digest("2"), IN_RAM);
  await round();
  report("a", "1", 100);
  await round();
  const drained = rounds.drain(viewOf("a"), follow, new AbortController().signal);
  await clock.advance(1000);
  await drained;
  expect(sent).toEqual(["handover 1 on b", "drain a"]);
});

test("who has not heard the beginning takes over what nodes say of late, and who does not lead orders nothing", async () => {
  const { held, round, report, sent, lead } = clusterOf("a", "b");
  held.get("a")!.set(digest("1"), IN_RAM);
  lead.epoch = undefined;
  report("a", "1", 20 * NODE_RATE, true);
  const followed = await round();
  expect([followed.leaderEpoch, followed.copies.size, sent.length]).toEqual([0, 0, 0]);
  expect([...followed.bases.values()][0]!.demand).toBeGreaterThan(NODE_RATE);
  lead.epoch = 2;
  expect((await round()).copies.get(digest("1"))).toHaveLength(2);
  expect(sent).toEqual(["copy 1 on b"]);
});

test("a draining node is handed over also when nobody asked for it", async () => {
  const { held, states, round, report, sent } = clusterOf("a", "b");
  held.get("a")!.set(digest("1"), IN_RAM);
  await round();
  report("a", "1", 100);
  await round();
  states.set("a", "draining");
  await round();
  expect(sent).toEqual(["handover 1 on b"]);
});
