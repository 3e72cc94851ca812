import { describe, expect, it } from "vitest";
import { Fault, MINUTE, SECOND, seededRandom } from "#kernel";
import { createFastRandom } from "../fast-random.ts";
import { NODE_MODELS } from "../node-model.ts";
import { ARRIVALS, type ArrivalsName } from "./arrivals.ts";
import { Popularity } from "./popularity.ts";
import { readTrace } from "./trace-file.ts";
import { createTraceWorkload, createWorkload } from "./workload.ts";

const random = () => createFastRandom(seededRandom(5));
const model = NODE_MODELS["cpu-124m"]!;
const OPTIONS = { deltaCount: 200, nodeCount: 4, model, durationMs: 10 * MINUTE, load: 0.5, skew: 1 };

function gapVariation(atMs: readonly number[]): number {
  const gaps = atMs.slice(1).map((at, index) => at - atMs[index]!);
  const mean = gaps.reduce((sum, gap) => sum + gap, 0) / gaps.length;
  return Math.sqrt(gaps.reduce((sum, gap) => sum + (gap - mean) ** 2, 0) / gaps.length) / mean;
}

describe("arrivals", () => {
  it.each(Object.keys(ARRIVALS) as ArrivalsName[])("%s come in order, within the time, about as many as asked for", (name) => {
    const arrivals = ARRIVALS[name]({ perSecond: 20, durationMs: 30 * MINUTE }, random());
    const atMs = arrivals.map((arrival) => arrival.atMs);
    expect(atMs).toEqual([...atMs].sort((one, other) => one - other));
    expect(atMs.at(-1)).toBeLessThan(30 * MINUTE);
    expect(Math.abs(atMs.length / (20 * 30 * 60) - 1)).toBeLessThan(0.06);
  });

  it("vary as they say: Poisson 1, Gamma 4, the others in bursts", () => {
    const variation = (name: ArrivalsName) =>
      gapVariation(ARRIVALS[name]({ perSecond: 20, durationMs: 60 * MINUTE }, random()).map(({ atMs }) => atMs));
    expect(variation("poisson")).toBeCloseTo(1, 1);
    expect(variation("gamma")).toBeGreaterThan(3.5);
    expect(variation("gamma")).toBeLessThan(4.5);
    expect(variation("mmpp")).toBeGreaterThan(1.05);
  });

  it("of a flash crowd five times the usual rate come at its beginning, for one delta", () => {
    const arrivals = ARRIVALS["flash-crowd"]({ perSecond: 100, durationMs: 10 * MINUTE }, random());
    const within = (from: number, to: number) => arrivals.filter(({ atMs }) => atMs >= from * MINUTE && atMs < to * MINUTE);
    expect(within(3, 3.1).length / within(2.8, 2.9).length).toBeGreaterThan(4);
    expect(within(2, 2.9).some(({ crowd }) => crowd)).toBe(false);
    expect(within(3, 3.1).filter(({ crowd }) => crowd).length).toBeGreaterThan(within(3, 3.1).length / 2);
  });
});

describe("popularity", () => {
  const draws = (exponent: number, more = {}) => {
    const popularity = new Popularity({ deltaCount: 1000, exponent, driftEveryMs: 0, churnEveryMs: 0, durationMs: 1, ...more }, random());
    const counts = new Map<number, number>();
    for (let draw = 0; draw < 50_000; draw++) {
      const delta = popularity.draw(draw * 10);
      counts.set(delta, (counts.get(delta) ?? 0) + 1);
    }
    return { counts, popularity };
  };

  it("is Zipf's: the first of a thousand has 13 % at exponent 1 and 39 % at 1.5", () => {
    expect(draws(1).counts.get(0)! / 50_000).toBeCloseTo(0.134, 2);
    expect(draws(1.5).counts.get(0)! / 50_000).toBeCloseTo(0.39, 2);
  });

  it("publishes versions that take over their predecessors' place", () => {
    const { counts, popularity } = draws(1, { churnEveryMs: 5 * SECOND });
    expect(popularity.versions.length).toBe(99);
    const { replaces, publishedAtMs } = popularity.versions[0]!;
    expect(publishedAtMs).toBe(5000);
    expect(counts.has(1000) || replaces > 500).toBe(true);
  });

  it("drifts: another delta is the most popular after a while", () => {
    const popularity = new Popularity({ deltaCount: 50, exponent: 1, driftEveryMs: 100, churnEveryMs: 0, durationMs: 1 }, random());
    const first = new Set(Array.from({ length: 40 }, (_, minute) => mostDrawn(popularity, minute * MINUTE)));
    expect(first.size).toBeGreaterThan(3);
  });
});

function mostDrawn(popularity: Popularity, atMs: number): number {
  const counts = new Map<number, number>();
  for (let draw = 0; draw < 500; draw++) {
    const delta = popularity.draw(atMs);
    counts.set(delta, (counts.get(delta) ?? 0) + 1);
  }
  return [...counts].reduce((most, entry) => (entry[1] > most[1] ? entry : most))[0];
}

describe("a trace file", () => {
  const TEXT = "TIMESTAMP,ContextTokens,GeneratedTokens\n2023-11-16 18:17:04.9799600,4808,10\n2023-11-16 18:17:03.4799600,3180,8\n";

  it("is read with its fractions of a second, sorted, from its first request on", () => {
    expect(readTrace(TEXT)).toEqual([
      { atMs: 0, promptTokens: 3180, outputTokens: 8 },
      { atMs: 1500, promptTokens: 4808, outputTokens: 10 },
    ]);
  });

  it("may have its columns in any order, seconds for times, and other line ends", () => {
    const text = "\uFEFFGeneratedTokens,Model,TIMESTAMP,ContextTokens\r\n7,x,10.5,0\r\n8,y,12,5\r\n";
    expect(readTrace(text)).toEqual([
      { atMs: 0, promptTokens: 1, outputTokens: 7 },
      { atMs: 1500, promptTokens: 5, outputTokens: 8 },
    ]);
  });

  it.each([
    ["TIME,ContextTokens,GeneratedTokens\n1,2,3\n2,3,4", "line 1: has no column TIMESTAMP"],
    ["TIMESTAMP,ContextTokens,GeneratedTokens\n1,2,3\nnever,3,4", "line 3: TIMESTAMP is no time"],
    ["TIMESTAMP,ContextTokens,GeneratedTokens\n1,2,3\n2,x,4", "line 3: ContextTokens"],
    ["TIMESTAMP,ContextTokens,GeneratedTokens\n1,2,3\n", "at least two requests"],
  ])("is refused by line when it is no trace", (text, message) => {
    expect(() => readTrace(text)).toThrow(Fault);
    expect(() => readTrace(text)).toThrow(message);
  });

  it("fills the time at the load asked for, with the same lengths", () => {
    const trace = readTrace(TEXT);
    const workload = createTraceWorkload(trace, OPTIONS, seededRandom(1));
    const poisson = createWorkload("poisson", OPTIONS, seededRandom(1));
    expect(workload.arrivedAtMs.at(-1)).toBeLessThan(OPTIONS.durationMs);
    expect(new Set(workload.outputTokens)).toEqual(new Set([8, 10]));
    expect(poisson.requestCount).toBeGreaterThan(100);
  });
});

it("workloads are the same for the same seed, and others for another", () => {
  const [one, same, other] = [1, 1, 2].map((seed) => createWorkload("gamma", OPTIONS, seededRandom(seed)));
  expect(one).toEqual(same);
  expect(one!.delta).not.toEqual(other!.delta);
});

it("new versions exist from when they are published, and nobody asks before", () => {
  const workload = createWorkload("poisson", { ...OPTIONS, churnEveryMs: 5 * SECOND }, seededRandom(1));
  expect(workload.deltas.count).toBeGreaterThan(OPTIONS.deltaCount + 100);
  for (let request = 0; request < workload.requestCount; request++) {
    expect(workload.arrivedAtMs[request]).toBeGreaterThanOrEqual(workload.deltas.publishedAtMs[workload.delta[request]!]!);
  }
});
