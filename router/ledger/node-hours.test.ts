import { describe, expect, it } from "vitest";
import {
  asBaseDigest,
  asNodeId,
  type BaseLoad,
  EMPTY_SNAPSHOT,
  MINUTE,
  type NodeView,
  type Snapshot,
  seededRandom,
  VirtualClock,
} from "#kernel";
import { type Journal, openEmbeddedStore, type StateStore } from "#state";
import { readLines, readTotals } from "./book-totals.ts";
import { CLUSTER_BOOK, readNodeHours, startNodeHours } from "./node-hours.ts";
import { recountBook } from "./recount.ts";
import { losingReplies } from "./testing/fixture.ts";

const MIDNIGHT = Date.UTC(2026, 10, 24);
const quiet = { info() {}, warn() {}, error() {} };

function node(id: string, state: NodeView["state"], bases: readonly string[]): NodeView {
  const loads = bases.map((name) => [asBaseDigest(name), { name } as BaseLoad] as const);
  return { id: asNodeId(id), address: "", state, epoch: "1", bases: new Map(loads), deltas: new Map(), reportedAt: 0 };
}

function clusterOf(...nodes: NodeView[]): Snapshot {
  return { version: 1, nodes: new Map(nodes.map((view) => [view.id, view])) };
}

async function recountDifferences(journal: Journal, clock: VirtualClock) {
  const totals = await readTotals({ journal, clock }, CLUSTER_BOOK);
  const lines = readLines(journal, CLUSTER_BOOK, totals.head);
  return (await recountBook({ book: CLUSTER_BOOK, lines, totals, prices: new Map() })).differences;
}

function sampler(store: StateStore, clock: VirtualClock, holder: string, snapshot: () => Snapshot, journal = store.journal) {
  return startNodeHours({ journal, leases: store.leases, clock, random: seededRandom(1), log: quiet, snapshot }, { holder });
}

describe("node hours", () => {
  it("count the time for which nodes stand ready, by day and base", async () => {
    const clock = new VirtualClock(MIDNIGHT - 10 * MINUTE);
    await using store = await openEmbeddedStore(":memory:", { clock });
    let snapshot = clusterOf(node("a", "ready", ["small"]), node("b", "ready", ["small", "large"]), node("c", "draining", ["small"]));
    const hours = sampler(store, clock, "router-1", () => snapshot);
    await clock.advance(20 * MINUTE);
    snapshot = EMPTY_SNAPSHOT;
    await clock.advance(20 * MINUTE);
    await hours[Symbol.asyncDispose]();
    const [before, after] = [MIDNIGHT - 24 * 60 * MINUTE, MIDNIGHT];
    // The look at midnight itself belongs to the new day.
    expect(await readNodeHours(store.journal, 0, MIDNIGHT + MINUTE)).toEqual([
      { start: before, base: "large", nodeMs: 9 * MINUTE },
      { start: before, base: "small", nodeMs: 18 * MINUTE },
      { start: after, base: "large", nodeMs: 11 * MINUTE },
      { start: after, base: "small", nodeMs: 22 * MINUTE },
    ]);
    expect(await readNodeHours(store.journal, MIDNIGHT, MIDNIGHT + MINUTE)).toHaveLength(2);
    expect(await recountDifferences(store.journal, clock)).toEqual([]);
  });

  it("are counted by one router at a time, and by the other when that one goes", async () => {
    const clock = new VirtualClock(MIDNIGHT);
    await using store = await openEmbeddedStore(":memory:", { clock });
    const snapshot = () => clusterOf(node("a", "ready", ["small"]));
    const first = sampler(store, clock, "router-1", snapshot);
    const second = sampler(store, clock, "router-2", snapshot);
    await clock.advance(30 * MINUTE);
    await first[Symbol.asyncDispose]();
    await clock.advance(31 * MINUTE);
    await second[Symbol.asyncDispose]();
    // The second router's first look only takes the lease.
    expect(await readNodeHours(store.journal, MIDNIGHT, MIDNIGHT + 1)).toEqual([{ start: MIDNIGHT, base: "small", nodeMs: 60 * MINUTE }]);
    expect(await recountDifferences(store.journal, clock)).toEqual([]);
  });

  it("are counted once when the store's replies are lost", async () => {
    const clock = new VirtualClock(MIDNIGHT);
    await using store = await openEmbeddedStore(":memory:", { clock });
    const flaky = losingReplies(store.journal, seededRandom(3), 0.5);
    const hours = sampler(store, clock, "router-1", () => clusterOf(node("a", "ready", ["small"])), flaky);
    await clock.advance(600 * MINUTE);
    const [{ nodeMs } = { nodeMs: 0 }] = await readNodeHours(store.journal, MIDNIGHT, MIDNIGHT + 1);
    // All that is not still on its way, in whole minutes.
    expect(nodeMs).toBeLessThanOrEqual(600 * MINUTE);
    expect(nodeMs).toBeGreaterThanOrEqual(580 * MINUTE);
    expect(await recountDifferences(store.journal, clock)).toEqual([]);
    await hours[Symbol.asyncDispose]();
  });
});
