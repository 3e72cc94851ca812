import { describe, expect, it } from "vitest";
import { Fault, MINUTE, systemClock } from "#kernel";
import { barPlot, COMPARISON_DEFAULTS, type ComparisonOptions, compare, confidence, POLICIES } from "#scheduler/sim";

const OPTIONS: ComparisonOptions = {
  ...COMPARISON_DEFAULTS,
  workload: "poisson",
  policies: [...POLICIES.keys()],
  ...{ nodeCount: 8, deltaCount: 1000, seeds: 2, durationMs: 4 * MINUTE },
};
const BOUND = "oracle";

describe("ours against the others, eight times over-subscribed", () => {
  const { policies } = compare(OPTIONS, systemClock);
  const mean = (name: string, metric: "ttft_ms_p99" | "ttft_ms_p50" | "hit_share" | "slo_share") =>
    policies.find(({ policy }) => policy.name === name)!.figures[metric].mean;
  const online = policies.filter(({ policy }) => (policy.role ?? "online") === "online");
  const others = online.map(({ policy }) => policy.name).filter((name) => name !== "ours");

  it("has a 99th percentile of the time to first token at least 30 % below the best of them", () => {
    const best = Math.min(...others.map((name) => mean(name, "ttft_ms_p99")));
    expect(mean("ours", "ttft_ms_p99")).toBeLessThan(0.7 * best);
  });

  it("keeps more requests within the promise than any of them", () => {
    for (const name of others) expect(mean("ours", "slo_share")).toBeGreaterThanOrEqual(mean(name, "slo_share"));
  });

  it("loads no more than the best of them", () => {
    const loads = (name: string) => policies.find(({ policy }) => policy.name === name)!.figures.loads_per_s.mean;
    const best = others.reduce((least, name) => (mean(name, "ttft_ms_p99") < mean(least, "ttft_ms_p99") ? name : least));
    expect(loads("ours")).toBeLessThanOrEqual(loads(best));
  });

  it("is bounded by the oracle, which has everything in a slot", () => {
    expect(mean(BOUND, "hit_share")).toBe(1);
    expect(mean("ours", "ttft_ms_p50")).toBeGreaterThan(mean(BOUND, "ttft_ms_p50"));
  });
});

describe("a comparison", () => {
  const few = { ...OPTIONS, policies: ["ours", "random"], nodeCount: 3, deltaCount: 30, durationMs: MINUTE, oversubscription: 2 };

  it("is the same twice, with faults as without", () => {
    for (const faults of [true, false]) {
      const [one, same] = [1, 2].map(() => compare({ ...few, faults }, systemClock).policies);
      expect(one!.map(({ policy, figures, eventHash }) => [policy.name, figures, eventHash])).toEqual(
        same!.map(({ policy, figures, eventHash }) => [policy.name, figures, eventHash]),
      );
    }
  });

  it("finds the nodes that each policy needs", () => {
    const [ours, random] = compare({ ...few, sizeForSlo: 0.95 }, systemClock).policies;
    expect(ours!.nodesAtSlo!.mean).toBeGreaterThan(0);
    expect(ours!.nodesAtSlo!.mean).toBeLessThanOrEqual(random!.nodesAtSlo!.mean);
  });

  it.each([
    [{ policies: ["magic"] }, "no policy magic"],
    [{ model: "abacus" }, "no model abacus"],
    [{ workload: "toString" as "poisson" }, "no workload toString"],
  ])("refuses what it does not know, and says what there is", (wrong, message) => {
    expect(() => compare({ ...few, ...wrong }, systemClock)).toThrow(Fault);
    expect(() => compare({ ...few, ...wrong }, systemClock)).toThrow(message);
  });
});

describe("what is printed", () => {
  it("has Student's interval: of 1, 2, 3 it is 2 ± 2.48", () => {
    expect(confidence([1, 2, 3]).mean).toBe(2);
    expect(confidence([1, 2, 3]).halfWidth).toBeCloseTo(2.484, 2);
    expect(confidence([5])).toEqual({ mean: 5, halfWidth: 0 });
  });

  it("is a plot with a bar for each, logarithmic when one would hide the others", () => {
    const bars = [10, 10_000].map((mean, index) => ({ name: `<${index}>`, value: { mean, halfWidth: mean / 10 } }));
    const svg = barPlot("TTFT & more", bars);
    expect(svg.match(/<rect x=/g)).toHaveLength(2);
    expect(svg).toContain("TTFT &amp; more (logarithmic)");
    expect(svg).toContain("&lt;1>");
    expect(svg).not.toContain("NaN");
    expect(barPlot("even", bars.slice(0, 1))).not.toContain("logarithmic");
  });
});
