import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { DemandBook } from "../demand/index.ts";
import { mixHash } from "../hash.ts";
import { drainPlan } from "./drain-plan.ts";
import { HomeRing } from "./home-ring.ts";
import { nodeTarget } from "./node-targets.ts";
import { Placement, type RoundOptions } from "./placement-round.ts";
import { prefetchPlan } from "./prefetch-plan.ts";
import { replicaCount } from "./replica-count.ts";

const ringOf = (nodes: readonly number[]) => new HomeRing(nodes.map((node) => ({ node, hash: mixHash(node + 1) })));
const numbers = (count: number) => Array.from({ length: count }, (_, index) => index);
const hashes = (count: number) => Uint32Array.from({ length: count }, (_, delta) => mixHash(delta + 77));
const order = (ring: HomeRing, hash: number, count: number) => {
  const into: number[] = [];
  return into.slice(0, 0).concat(numbers(ring.candidates(hash, count, into)).map((index) => into[index]!));
};
const anyNodes = fc.uniqueArray(fc.integer({ min: 0, max: 500 }), { minLength: 2, maxLength: 24 });
const anyHash = fc.integer({ min: 0, max: 2 ** 32 - 1 });

describe("the ring of homes", () => {
  it("gives every node once, and keeps the order of the others when one goes", () => {
    fc.assert(
      fc.property(anyNodes, anyHash, (nodes, hash) => {
        const all = order(ringOf(nodes), hash, nodes.length);
        expect([...all].sort((a, b) => a - b)).toEqual([...nodes].sort((a, b) => a - b));
        const gone = all[0]!;
        const left = nodes.filter((node) => node !== gone);
        expect(order(ringOf(left), hash, left.length)).toEqual(all.slice(1));
      }),
    );
  });

  it("is the same, whether nodes came and went or it was made of those that are left", () => {
    fc.assert(
      fc.property(anyNodes, anyNodes, fc.array(fc.nat()), anyHash, (before, after, kept, hash) => {
        const come = after.filter((node) => !before.includes(node));
        const gone = new Set(before.filter((_, index) => !kept.includes(index)));
        const left = [...before.filter((node) => !gone.has(node)), ...come];
        const nodes = come.map((node) => ({ node, hash: mixHash(node + 1) }));
        expect(order(ringOf(before).changed(nodes, gone), hash, left.length)).toEqual(order(ringOf(left), hash, left.length));
      }),
    );
  });

  it("gives each node about its share", () => {
    const ring = ringOf(numbers(16));
    const counts = new Array(16).fill(0);
    for (const hash of hashes(16_000)) counts[order(ring, hash, 1)[0]!]++;
    for (const count of counts) expect(Math.abs(count - 1000)).toBeLessThan(450);
  });
});

const anyRate = fc.double({ min: 0, max: 1e4, noNaN: true });

describe("how many copies", () => {
  const limits = { ratePerCopy: 100, copiesMax: 12 };

  it("grow with demand, never beyond the limit, never below one", () => {
    fc.assert(
      fc.property(anyRate, anyRate, fc.integer({ min: 1, max: 12 }), (one, other, copies) => {
        const [low, high] = [Math.min(one, other), Math.max(one, other)];
        expect(replicaCount(low, copies, limits)).toBeLessThanOrEqual(replicaCount(high, copies, limits));
        expect(replicaCount(high, copies, limits)).toBeLessThanOrEqual(limits.copiesMax);
        expect(replicaCount(low, copies, limits)).toBeGreaterThanOrEqual(1);
      }),
    );
  });

  it("rest at once under the same demand, and don't flutter around a limit", () => {
    fc.assert(
      fc.property(anyRate, fc.integer({ min: 1, max: 12 }), (rate, copies) => {
        const once = replicaCount(rate, copies, limits);
        expect(replicaCount(rate, once, limits)).toBe(once);
      }),
    );
    expect([99, 101, 99, 101].map((rate) => replicaCount(rate, 2, limits))).toEqual([2, 2, 2, 2]);
    expect(replicaCount(60, 2, limits)).toBe(1);
  });
});

describe("how many nodes", () => {
  const base = { nodeRate: 100, nodeCount: 3, idleMs: 0, nodesMin: 0, nodesMax: 50, idleMsMax: 600_000 };

  it("follow demand up at once and down late, to none when idle, and wake with one", () => {
    expect(nodeTarget({ ...base, ratePerSecond: 1000 })).toBe(15);
    expect(nodeTarget({ ...base, ratePerSecond: 130 })).toBe(3);
    expect(nodeTarget({ ...base, ratePerSecond: 40 })).toBe(1);
    expect(nodeTarget({ ...base, ratePerSecond: 0, idleMs: 600_000 })).toBe(0);
    expect(nodeTarget({ ...base, ratePerSecond: 0.1, nodeCount: 0 })).toBe(1);
  });

  it("are monotone in demand, and at rest once there", () => {
    fc.assert(
      fc.property(anyRate, anyRate, fc.integer({ min: 0, max: 60 }), (one, other, nodeCount) => {
        const target = (ratePerSecond: number, count = nodeCount) => nodeTarget({ ...base, ratePerSecond, nodeCount: count });
        expect(target(Math.min(one, other))).toBeLessThanOrEqual(target(Math.max(one, other)));
        expect(target(one, target(one))).toBe(target(one));
      }),
    );
  });
});

const anyDemand = fc.array(fc.integer({ min: 0, max: 3000 }), { minLength: 1, maxLength: 60 });
const OPTIONS: RoundOptions = { nodeRate: 40, copiesMax: 3, movesMax: 5 };

function inputOf(nodes: readonly number[], weights: readonly number[]) {
  const demand = new DemandBook();
  for (const [delta, weight] of weights.entries()) if (weight > 0) demand.observe(delta, weight, 0);
  return { ring: ringOf(nodes), nodes, deltaHash: hashes(weights.length), demand, nowMs: 0 };
}

function untilAtRest(placement: Placement, input: ReturnType<typeof inputOf>): number {
  for (let rounds = 1; rounds <= 200; rounds++) if (placement.round(input, OPTIONS).length === 0) return rounds;
  return Number.POSITIVE_INFINITY;
}

describe("a placement round, whatever the cluster and the demand", () => {
  it("changes at most so much, never places on nodes that are not there, nor more copies than allowed", () => {
    fc.assert(
      fc.property(anyNodes, fc.array(anyDemand, { minLength: 1, maxLength: 4 }), (nodes, demands) => {
        const placement = new Placement();
        for (const weights of demands) {
          const moves = placement.round(inputOf(nodes, weights), OPTIONS);
          expect(moves.length).toBeLessThanOrEqual(OPTIONS.movesMax);
          for (const { to } of moves) if (to !== undefined) expect(nodes).toContain(to);
          for (const delta of weights.keys()) {
            const targets = placement.targets(delta);
            expect(new Set(targets).size).toBe(targets.length);
            expect(targets.length).toBeLessThanOrEqual(OPTIONS.copiesMax);
          }
        }
      }),
    );
  });

  it("answers more demand for a delta with no fewer copies of it", () => {
    fc.assert(
      fc.property(anyNodes, anyDemand, fc.nat(), fc.integer({ min: 1, max: 5000 }), (nodes, weights, chosen, more) => {
        const delta = chosen % weights.length;
        const copies = (demand: readonly number[]) => {
          const placement = new Placement();
          placement.round(inputOf(nodes, demand), { ...OPTIONS, movesMax: 10_000 });
          return Math.max(1, placement.targets(delta).length);
        };
        expect(copies(weights.with(delta, weights[delta]! + more))).toBeGreaterThanOrEqual(copies(weights));
      }),
    );
  });

  it("leaves pinned deltas where they are", () => {
    fc.assert(
      fc.property(anyNodes, anyDemand, (nodes, weights) => {
        const placement = new Placement();
        const pinned = new Set(weights.keys().filter((delta) => delta % 2 === 0));
        const moves = placement.round({ ...inputOf(nodes, weights), pinned }, { ...OPTIONS, copiesMax: 1, movesMax: 100 });
        for (const { delta } of moves) expect(pinned.has(delta)).toBe(false);
      }),
    );
  });

  it("comes to rest under the same demand", () => {
    fc.assert(
      fc.property(anyNodes, anyDemand, (nodes, weights) => {
        expect(untilAtRest(new Placement(), inputOf(nodes, weights))).toBeLessThanOrEqual(200);
      }),
    );
  });

  it("forgets a node that is gone, and moves nobody else for it", () => {
    fc.assert(
      fc.property(anyNodes, anyDemand, (nodes, weights) => {
        const placement = new Placement();
        untilAtRest(placement, inputOf(nodes, weights));
        const before = weights.map((_, delta) => placement.targets(delta));
        const [gone, ...left] = nodes;
        placement.round(inputOf(left, weights), { ...OPTIONS, movesMax: 0 });
        for (const delta of weights.keys()) expect(placement.targets(delta)).toEqual(before[delta]!.filter((node) => node !== gone));
      }),
    );
  });

  it("never makes the busiest node busier by moving deltas", () => {
    fc.assert(
      fc.property(anyNodes, anyDemand, (nodes, weights) => {
        const input = inputOf(nodes, weights);
        const placement = new Placement();
        const busiest = () => Math.max(...loadsOf(input, weights, placement));
        for (let rounds = 0; rounds < 20; rounds++) {
          const before = busiest();
          placement.round(input, { ...OPTIONS, copiesMax: 1 });
          expect(busiest()).toBeLessThanOrEqual(before + 1e-9);
        }
      }),
    );
  });
});

function loadsOf(input: ReturnType<typeof inputOf>, weights: readonly number[], placement: Placement): readonly number[] {
  const loads = new Map<number, number>(input.nodes.map((node) => [node, 0]));
  for (const delta of weights.keys()) {
    const targets = placement.targets(delta);
    const places = targets.length > 0 ? targets : order(input.ring, input.deltaHash[delta]!, 1);
    for (const node of places) loads.set(node, loads.get(node)! + input.demand.ratePerSecond(delta, 0) / places.length);
  }
  return [...loads.values()];
}

describe("loads ahead of requests", () => {
  const demand = new DemandBook();
  for (const [delta, weight] of [0, 100, 5000, 900].entries()) if (weight > 0) demand.observe(delta, weight, 0);
  const input = {
    demand,
    nowMs: 0,
    placesOf: (delta: number) => (delta === 3 ? [1, 2] : [1]),
    tierOf: () => undefined,
    perNodeMax: 10,
  };

  it("bring hot deltas to RAM and others to disk, the hottest first, wherever they should be", () => {
    expect(prefetchPlan([0, 1, 2, 3], input)).toEqual([
      { delta: 2, node: 1, target: "ram" },
      { delta: 3, node: 1, target: "ram" },
      { delta: 3, node: 2, target: "ram" },
      { delta: 1, node: 1, target: "ram" },
      { delta: 0, node: 1, target: "disk" },
    ]);
  });

  it("are few per node, and none for what is there already", () => {
    expect(prefetchPlan([0, 1, 2, 3], { ...input, perNodeMax: 1 }).map(({ delta, node }) => [delta, node])).toEqual([
      [2, 1],
      [3, 2],
    ]);
    expect(prefetchPlan([0, 1, 2, 3], { ...input, tierOf: () => "ram" })).toEqual([]);
    expect(prefetchPlan([0, 2], { ...input, tierOf: () => "disk" })).toEqual([{ delta: 2, node: 1, target: "ram" }]);
  });
});

describe("a node that leaves", () => {
  it("hands over what is asked for and nowhere else, the hottest first", () => {
    const demand = new DemandBook();
    for (const [delta, weight] of [5, 50, 0, 20, 500].entries()) if (weight > 0) demand.observe(delta, weight, 0);
    const ring = ringOf([1, 2, 3]);
    const plan = drainPlan(
      [0, 1, 2, 3, 4],
      (delta) => mixHash(delta),
      (delta) => delta === 4,
      { ring, demand, nowMs: 0, copiesMax: 2 },
    );
    expect(plan.map(({ delta }) => delta)).toEqual([1, 3]);
    for (const { delta, to } of plan) expect(to).toBe(order(ring, mixHash(delta), 1)[0]);
  });
});
