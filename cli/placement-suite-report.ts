import { appendFile, mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { BenchReport, BenchRow } from "#bench";
import type { Comparison, Interval, Metric, StripPoint, StripRow, SuiteVerdict } from "#scheduler/sim";
import type { CellResult } from "./placement-suite-run.ts";
import { short, tableOf } from "./simulation-table.ts";

/** A cell, joined over its seeds. */
interface JudgedCell extends CellResult {
  readonly comparison: Comparison;
  readonly verdict: SuiteVerdict;
}

const PLOTS_DIRECTORY = join(import.meta.dirname, "../bench/results/plots");

/** A line per cell: ours, the best other online policy, and the bounds. The summary has the figures that are promised. */
export async function placementReport(results: readonly CellResult[]): Promise<BenchReport & { readonly cells: readonly unknown[] }> {
  const { createReport } = await import("#bench");
  const judged = await judge(results);
  const report = await createReport("simulate", judged.map(headline), summaryOf(judged));
  const cells = judged.map(({ cell: { group, workload, options }, comparison, verdict }) => ({
    ...{
      group,
      workload,
      nodes: options.nodeCount,
      deltas: options.deltaCount,
      oversubscription: options.oversubscription,
      load: options.load,
    },
    ...{
      skew: options.skew,
      model: options.model,
      faults: options.faults,
      minutes: options.durationMs / 60_000,
      seeds: options.seeds,
      verdict,
    },
    policies: comparison.policies.map(({ policy, figures, nodesAtSlo }) => ({ name: policy.name, figures, nodesAtSlo })),
  }));
  return { ...report, cells };
}

/** All policies of every cell, as Markdown, at the end of the report's file. */
export async function appendTables(path: string, results: readonly CellResult[]): Promise<void> {
  const { formatTable } = await import("#bench");
  const sections = (await judge(results)).map(
    ({ cell, seeds, comparison }) => `## ${titleOf(cell, seeds.length)}\n\n${formatTable(tableOf(comparison))}\n`,
  );
  await appendFile(path, `\n${sections.join("\n")}`);
}

/** One picture per group and figure; gives the folder. */
export async function writeSuitePlots(results: readonly CellResult[], directory: string = PLOTS_DIRECTORY): Promise<string> {
  const { stripPlot } = await import("#scheduler/sim");
  await mkdir(directory, { recursive: true });
  const groups = Map.groupBy(await judge(results), ({ cell }) => cell.group);
  for (const [group, cells] of groups) {
    const isQueued = cells[0]!.comparison.policies.some(({ policy }) => policy.queue);
    if (cells.length < PLOTTED_FROM || cells[0]!.verdict.nodesRatio || isQueued) continue; // A table tells it better.
    for (const [metric, title] of PLOTTED) {
      const file = `simulate-${group.replaceAll(/[^a-z0-9]+/g, "-")}-${metric.replaceAll("_", "-")}.svg`;
      await writeFile(
        join(directory, file),
        stripPlot(
          `${title}, ${group}`,
          cells.map((cell) => stripOf(cell, cells, metric)),
        ),
      );
    }
  }
  return directory;
}

const PLOTTED_FROM = 3;
const PLOTTED: readonly (readonly [Metric, string])[] = [
  ["ttft_ms_p99", "Time to first token, 99th percentile, ms"],
  ["ttft_ms_p50", "Time to first token, median, ms"],
];

async function judge(results: readonly CellResult[]): Promise<readonly JudgedCell[]> {
  const { joinSeeds, verdictOf } = await import("#scheduler/sim");
  return results.map((result) => ({ ...result, comparison: joinSeeds(result.seeds), verdict: verdictOf(result.seeds) }));
}

function headline({ cell: { group, workload, options }, seeds, comparison, verdict }: JudgedCell): BenchRow {
  const figure = (name: string, metric: Metric) => comparison.policies.find(({ policy }) => policy.name === name)!.figures[metric].mean;
  return {
    ...{
      group,
      workload,
      deltas: options.deltaCount,
      "over-subscription": options.oversubscription,
      load: options.load,
      seeds: seeds.length,
    },
    "p50 ms": figure("ours", "ttft_ms_p50"),
    "p50 / oracle": interval(verdict.p50OverOracle),
    "p99 ms": figure("ours", "ttft_ms_p99"),
    "best other": verdict.best,
    "its p99 ms": figure(verdict.best, "ttft_ms_p99"),
    "p99 / best": interval(verdict.p99Ratio),
    "bound / best": interval(verdict.boundP99Ratio),
    "loads / best": interval(verdict.loadsRatio),
    SLO: `${short(figure("ours", "slo_share"))} (${short(figure(verdict.best, "slo_share"))})`,
    "nodes / fewest": verdict.nodesRatio ? interval(verdict.nodesRatio) : "",
  };
}

function summaryOf(judged: readonly JudgedCell[]): Record<string, number> {
  const summary: Record<string, number> = {};
  for (const { cell, verdict } of judged) {
    const key = [cell.group, cell.workload, cell.options.oversubscription, cell.options.deltaCount, cell.options.skew]
      .join(".")
      .replaceAll(" ", "_")
      .replaceAll(",", "");
    summary[`${key}.p99_ratio`] = verdict.p99Ratio.mean;
    summary[`${key}.p50_over_oracle`] = verdict.p50OverOracle.mean;
    if (verdict.nodesRatio) summary[`${key}.nodes_ratio`] = verdict.nodesRatio.mean;
  }
  const tookMs = judged.flatMap(({ seeds }) => seeds).reduce((sum, { tookMs }) => sum + tookMs, 0);
  const virtualMs = judged.flatMap(({ seeds }) => seeds).reduce((sum, { virtualMs }) => sum + virtualMs, 0);
  return { ...summary, speed_over_real_time: virtualMs / tookMs };
}

function stripOf({ cell, comparison, verdict }: JudgedCell, group: readonly JudgedCell[], metric: Metric): StripRow {
  const points = comparison.policies
    .filter(({ policy }) => policy.role !== "variant" && policy.name !== "cached-ours")
    .map(({ policy, figures }): StripPoint => {
      const value = figures[metric];
      if (policy.name === "ours") return { kind: "ours", value };
      if (policy.role === "bound") return { kind: "bound", value };
      return policy.name === verdict.best ? { kind: "best", value, label: policy.name } : { kind: "other", value };
    });
  return { name: rowName(cell, group), points };
}

/** What tells a cell from the others of its group. */
function rowName({ workload, options }: JudgedCell["cell"], group: readonly JudgedCell[]): string {
  const differ = <T>(value: (cell: JudgedCell["cell"]) => T) => new Set(group.map(({ cell }) => value(cell))).size > 1;
  const parts = [workload.replace(/\.csv$/, "")];
  if (differ(({ options: { oversubscription } }) => oversubscription)) parts.push(`${options.oversubscription}×`);
  if (differ(({ options: { deltaCount } }) => deltaCount)) parts.push(`${options.deltaCount} deltas`);
  if (differ(({ options: { skew } }) => skew)) parts.push(`Zipf ${options.skew}`);
  return parts.join(", ");
}

function titleOf({ group, workload, options }: CellResult["cell"], seeds: number): string {
  const { nodeCount, deltaCount, oversubscription, load, skew, model, durationMs } = options;
  return `${group}: ${workload}; ${nodeCount} nodes, ${deltaCount} deltas, ${oversubscription}×, load ${load}, Zipf ${skew}, ${model}, ${durationMs / 60_000} minutes, ${seeds} seeds`;
}

function interval({ mean, halfWidth }: Interval): string {
  return `${mean.toFixed(2)} ±${halfWidth.toFixed(2)}`;
}
