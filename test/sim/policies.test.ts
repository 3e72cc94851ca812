import { describe, expect, it } from "vitest";
import { seededRandom } from "#kernel";
import { NODE_MODELS, POLICIES, type SimRun, simulate, type Workload } from "#scheduler/sim";

const model = NODE_MODELS["cpu-124m"]!;
const RANK = 8;

interface Asked {
  readonly atMs: number;
  readonly delta: number;
  readonly outputTokens?: number;
}

/** Deltas of one rank, unless `ranks` says otherwise; short prompts. */
function workloadOf(asked: readonly Asked[], deltaCount: number, ranks: (delta: number) => number = () => RANK): Workload {
  const deltas = Array.from({ length: deltaCount }, (_, delta) => delta);
  return {
    name: "by hand",
    durationMs: asked.at(-1)!.atMs + 1,
    requestCount: asked.length,
    arrivedAtMs: Float64Array.from(asked, ({ atMs }) => atMs),
    delta: Int32Array.from(asked, ({ delta }) => delta),
    promptTokens: Int32Array.from(asked, () => 20),
    outputTokens: Int32Array.from(asked, ({ outputTokens }) => outputTokens ?? 5),
    deltas: {
      count: deltaCount,
      rank: Int32Array.from(deltas, ranks),
      sizeBytes: Float64Array.from(deltas, (delta) => ranks(delta) * model.bytesPerRank),
      hash: Uint32Array.from(deltas, (delta) => Math.imul(delta + 1, 0x9e3779b1) >>> 0),
      publishedAtMs: new Float64Array(deltaCount),
      replaces: new Int32Array(deltaCount).fill(-1),
    },
  };
}

function run(policy: string, workload: Workload, nodeCount = 4, slots = 4): SimRun {
  const slot = slots * RANK * model.bytesPerRank;
  const bytes = { slot, ram: 4 * slot, disk: 16 * slot };
  return simulate(workload, POLICIES.get(policy)!, { model, nodeCount, oversubscription: 1, bytes }, seededRandom(1));
}

/** One request after the other, so far apart that each finds idle nodes. */
const slowly = (deltas: readonly number[]) =>
  workloadOf(
    deltas.map((delta, index) => ({ atMs: 5000 * index, delta })),
    1 + Math.max(...deltas),
  );
/** All within a few milliseconds. */
const atOnce = (deltas: readonly number[]) =>
  workloadOf(
    deltas.map((delta, index) => ({ atMs: index, delta, outputTokens: 100 })),
    1 + Math.max(...deltas),
  );
const nodesOf = ({ node }: SimRun) => [...node];
const distinct = (values: readonly number[]) => new Set(values).size;
const repeat = <T>(times: number, values: readonly T[]) => Array.from({ length: times }, () => values).flat();

describe("each policy does what its source says", () => {
  it("round-robin: one after the other", () => {
    expect(nodesOf(run("round-robin", slowly([0, 0, 0, 0, 0])))).toEqual([0, 1, 2, 3, 0]);
  });

  it("random: everywhere", () => {
    expect(distinct(nodesOf(run("random", slowly(repeat(30, [0])))))).toBe(4);
  });

  it("least-loaded: as many on each when all come at once", () => {
    const counts = nodesOf(run("least-loaded", atOnce(repeat(40, [0])))).reduce(
      (sums, node) => sums.with(node, sums[node]! + 1),
      [0, 0, 0, 0],
    );
    expect(counts).toEqual([10, 10, 10, 10]);
  });

  it("bounded-hash: one place while idle, but no node with more than a quarter above the mean", () => {
    expect(distinct(nodesOf(run("bounded-hash", slowly(repeat(8, [0])))))).toBe(1);
    const counts = nodesOf(run("bounded-hash", atOnce(repeat(40, [0])))).reduce(
      (sums, node) => sums.with(node, sums[node]! + 1),
      [0, 0, 0, 0],
    );
    expect(Math.max(...counts)).toBeLessThanOrEqual(Math.ceil(1.25 * 10));
  });

  it("prefer-loaded: where it is loaded; a new one where the fewest are", () => {
    const nodes = nodesOf(run("prefer-loaded", slowly([0, 1, 2, 3, 0, 1, 2, 3])));
    expect(distinct(nodes.slice(0, 4))).toBe(4);
    expect(nodes.slice(4)).toEqual(nodes.slice(0, 4));
  });

  it("activity-affinity: blind to a delta that is loaded and idle; repaired, it is not", () => {
    const often = slowly(repeat(12, [0]));
    expect(distinct(nodesOf(run("activity-affinity", often)))).toBeGreaterThan(1);
    expect(distinct(nodesOf(run("repaired-affinity", often)))).toBe(1);
    const busy = workloadOf(
      Array.from({ length: 10 }, (_, index) => ({ atMs: 2000 * index, delta: 0, outputTokens: 400 })),
      1,
    );
    expect(distinct(nodesOf(run("activity-affinity", busy)))).toBe(1);
  });

  it("global-lru: fills all nodes, then gives up the entry that was not used for longest, wherever it is", () => {
    const fill = Array.from({ length: 8 }, (_, delta) => delta);
    const { node, tier } = run("global-lru", slowly([...fill, 0, 1, 2, 4, 5, 6, 7, 8, 3]), 2, 4);
    expect(distinct([...node].slice(0, 8))).toBe(2);
    expect(node[15]).toBe(node[3]); // 3 was the oldest: 8 goes where it is.
    expect(tier[16]).toBeGreaterThan(0);
  });

  it("no-cache: a delta is in a slot only while rows use it", () => {
    expect([...run("no-cache", slowly([0, 0, 0]), 1).tier]).toEqual([3, 1, 1]);
    expect([...run("least-loaded", slowly([0, 0, 0]), 1).tier]).toEqual([3, 0, 0]);
  });

  it("migration: spread evenly, until a node has too much; then deltas move", () => {
    const minute = Array.from({ length: 240 }, (_, index) => ({
      atMs: 250 * index,
      delta: index < 5 ? index : [0, 4, 0, 4, 1][index % 5]!,
    }));
    const { node, workload } = run("migration", workloadOf(minute, 5));
    const placesOf = (delta: number) => distinct([...node].filter((_, request) => workload.delta[request] === delta));
    expect(placesOf(0) + placesOf(4)).toBeGreaterThan(2);
    expect(placesOf(1)).toBeLessThanOrEqual(2);
  });

  it("rank-classes: once it has seen demand, small and large ranks don't meet", () => {
    const asked = Array.from({ length: 400 }, (_, index) => ({ atMs: 250 * index, delta: index % 8 }));
    const { node, workload } = run(
      "rank-classes",
      workloadOf(asked, 8, (delta) => (delta < 4 ? 8 : 128)),
      4,
      64,
    );
    const later = [...node.keys()].filter((request) => workload.arrivedAtMs[request]! > 40_000);
    const placesOf = (small: boolean) =>
      new Set(later.filter((request) => workload.delta[request]! < 4 === small).map((request) => node[request]));
    expect([...placesOf(true)].filter((place) => placesOf(false).has(place)).length).toBeLessThanOrEqual(1);
  });

  it.each([
    ["sticky-hash", 1],
    ["min-cost-flow", 3],
    ["ours", 3],
  ] as const)("%s: one of many deltas stays on few nodes; a hot one gets copies", (policy, placesMax) => {
    const even = Array.from({ length: 2000 }, (_, index) => ({ atMs: 50 * index, delta: index % 40 }));
    const { node, workload } = run(policy, workloadOf(even, 40));
    expect(distinct([...node].filter((_, request) => workload.delta[request] === 7))).toBeLessThanOrEqual(placesMax);
    const hot = Array.from({ length: 1500 }, (_, index) => ({ atMs: 20 * index, delta: 0, outputTokens: 60 }));
    expect(distinct(nodesOf(run(policy, workloadOf(hot, 1))))).toBe(4);
  });

  it("ours-queued: who comes while all slots are in use waits before the nodes, and whose delta runs somewhere goes there at once", () => {
    const asked = [0, 1, 2, 3, 4, 0].map((delta, index) => ({ atMs: index, delta, outputTokens: 100 }));
    const { stages, node } = run("ours-queued", workloadOf(asked, 5), 2, 2);
    expect(node[4]).toBeGreaterThanOrEqual(0);
    expect(stages.slotAtMs[4]! - 4).toBeGreaterThan(1000);
    expect(stages.slotAtMs[5]).toBe(5);
    expect(node[5]).toBe(node[0]);
    const onNodes = run("ours-queued-rows", workloadOf(asked, 5), 2, 2);
    expect(onNodes.stages.slotAtMs[4]! - 4).toBeGreaterThan(1000);
  });

  it("ours-queued: a crowd for one delta waits for itself, others find rows; by arrival they would wait behind it", () => {
    const crowd = Array.from({ length: 400 }, (_, index) => ({ atMs: index, delta: 0, outputTokens: 200 }));
    const workload = workloadOf([...crowd, { atMs: 500, delta: 1 }], 2);
    const firstToken = (policy: string) => run(policy, workload, 2, 4).firstTokenMs[400]!;
    expect(firstToken("ours-queued")).toBeLessThan(0.5 * firstToken("ours"));
  });

  it.each(["ours-queued", "affinity-queued", "cached-central"])("%s: no node is sent more than rows and half of them", (policy) => {
    const { node, stages, workload } = run(policy, atOnce(repeat(300, [0, 1, 2, 3])), 2, 64);
    const waited = [...node.keys()].filter((request) => stages.slotAtMs[request]! > workload.arrivedAtMs[request]! + 1000);
    expect(waited.length).toBeGreaterThan(1200 - 2 * 1.5 * model.rowsMax - 200);
  });

  it("oracle: nothing is ever loaded", () => {
    const { tier, traffic } = run("oracle", slowly([0, 1, 2, 3, 4, 5]));
    expect([...tier]).toEqual([0, 0, 0, 0, 0, 0]);
    expect(traffic.loadCount).toBe(0);
  });
});
