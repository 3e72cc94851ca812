import { appendFileSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { MINUTE } from "#kernel";
import { COMPARISON_DEFAULTS, placementSuite, type SuiteCell } from "#scheduler/sim";
import { placementReport, writeSuitePlots } from "./placement-suite-report.ts";
import { readSuite, runSuite } from "./placement-suite-run.ts";

const folder = mkdtempSync(join(tmpdir(), "deltaplane-suite-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const OPTIONS = { ...COMPARISON_DEFAULTS, nodeCount: 2, deltaCount: 20, oversubscription: 2, durationMs: MINUTE / 2 };
const POLICIES = ["ours", "oracle", "random", "least-loaded"];

const cellOf = (workload: "poisson" | "mmpp", seeds: number): SuiteCell => ({
  ...{ group: "small", workload },
  options: { ...OPTIONS, workload, seeds, policies: POLICIES },
});

describe("a suite", () => {
  it("goes on where it was interrupted, even in the middle of a line, and comes to the same", async () => {
    const resume = join(folder, "runs.jsonl");
    await runSuite([cellOf("poisson", 1)], { jobs: 1, resume });
    const before = readFileSync(resume, "utf8");
    appendFileSync(resume, `${before.slice(0, 100)}\n`);
    const cells = [cellOf("poisson", 2), cellOf("mmpp", 1)];
    const resumed = await runSuite(cells, { jobs: 1, resume });
    expect(readFileSync(resume, "utf8").startsWith(before)).toBe(true);
    const figures = (results: typeof resumed) => results.map(({ seeds }) => seeds.map(({ seed, runs }) => ({ seed, runs })));
    expect(figures(resumed)).toEqual(figures(await runSuite(cells, { jobs: 2 })));
    expect(figures(await readSuite(cells, resume))).toEqual(figures(resumed));
  });

  it("reports ours beside the best other and the bounds, and draws them", async () => {
    const results = await runSuite([cellOf("poisson", 2)], { jobs: 1 });
    const { rows, summary, cells } = await placementReport(results);
    expect(rows).toHaveLength(1);
    expect(["random", "least-loaded"]).toContain(rows[0]!["best other"]);
    expect(Object.keys(summary)).toContain("small.poisson.2.20.1.p99_ratio");
    expect(cells).toHaveLength(1);
    await writeSuitePlots([...results, ...results, ...results], folder);
    const plot = readFileSync(join(folder, "simulate-small-ttft-ms-p99.svg"), "utf8");
    expect(plot.match(/<circle/g)!.length).toBe(4 + 3 * POLICIES.length); // With the legend's.
    expect(plot).not.toContain("NaN");
  });

  it("named placement has every workload, 8 and 64 nodes, 100 to 100,000 deltas and over-subscription 1 to 32", () => {
    const trace = { name: "mine.csv", requests: [{ atMs: 0, promptTokens: 1, outputTokens: 1 }] };
    const cells = placementSuite({ seeds: 10, trace });
    const values = (value: (cell: SuiteCell) => unknown) => new Set(cells.map(value));
    expect(values(({ workload }) => workload)).toEqual(new Set(["poisson", "gamma", "diurnal", "flash-crowd", "mmpp", "mine.csv"]));
    expect(values(({ options }) => options.nodeCount)).toEqual(new Set([8, 64]));
    expect(values(({ options }) => options.deltaCount)).toEqual(new Set([100, 1000, 10_000, 100_000]));
    expect(values(({ options }) => options.oversubscription)).toEqual(new Set([1, 2, 4, 8, 16, 32]));
    expect(placementSuite({ seeds: 10 }).some(({ workload }) => workload === "mine.csv")).toBe(false);
  });
});
