import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { type Command, InvalidArgumentError } from "commander";
import { Fault, MINUTE } from "#kernel";
import type { ArrivalsName, Comparison, ComparisonOptions, Metric, SeedComparison } from "#scheduler/sim";
import { outputOf } from "../connection.ts";
import { type OutputFormat, printMessage } from "../output.ts";
import { runSimulations } from "../simulation-jobs.ts";
import { SIMULATION_COLUMNS, tableOf } from "../simulation-table.ts";
import { readTraceFile } from "../trace-option.ts";

interface SimulateFlags {
  readonly trace?: string;
  readonly workload?: string;
  readonly policy?: string[];
  readonly nodes?: number;
  readonly deltas?: number;
  readonly oversubscription?: number;
  readonly seeds?: number;
  readonly minutes?: number;
  readonly load?: number;
  readonly skew?: number;
  readonly model?: string;
  readonly faults?: boolean;
  readonly sizeForSlo?: number;
  readonly waits?: boolean;
  readonly plots?: string;
  readonly jobs: number;
  readonly suite?: string;
  readonly resume?: string;
  readonly report?: boolean;
  readonly record?: boolean;
}

/** What is promised of each policy. */
const SUMMARY: readonly Metric[] = ["ttft_ms_p50", "ttft_ms_p99", "hit_share", "loads_per_s", "slo_share", "jain", "churn"];

export function addSimulateCommand(program: Command): void {
  program
    .command("simulate")
    .description("run placement policies against a workload on a virtual clock")
    .option("--trace <file>", "CSV with TIMESTAMP, ContextTokens, GeneratedTokens; deltas are drawn")
    .option("--workload <name>", "poisson, gamma, diurnal, flash-crowd or mmpp (default: poisson)")
    .option("--policy <names...>", "policies to compare (default: all)")
    .option("--nodes <n>", "nodes (default: 8)", wholePositive)
    .option("--deltas <n>", "deltas at the start (default: 1000)", wholePositive)
    .option("--oversubscription <x>", "bytes of all deltas over bytes of all slots (default: 8)", positive)
    .option("--seeds <n>", "runs of each policy, each with a workload of its own (default: 10)", wholePositive)
    .option("--minutes <m>", "of virtual time (default: 10)", positive)
    .option("--load <share>", "of what the nodes can serve with full rows (default: 0.6)", positive)
    .option("--skew <x>", "Zipf's exponent of the deltas' popularity (default: 1)", positive)
    .option("--model <name>", "how fast nodes are: cpu-124m, cpu-32m or gpu-7b (default: cpu-124m)")
    .option("--faults", "a node fails, one is slow, the object store is slow")
    .option("--size-for-slo <share>", "also find the nodes each policy needs for this share of requests in time", positive)
    .option("--waits", "also tell what the slowest requests waited for: slot, load, row, prompt")
    .option("--plots <dir>", "write an SVG for each metric")
    .option("--jobs <n>", "processes that simulate", wholePositive, 1)
    .option(
      "--suite <name>",
      "the tables of docs/placement.md instead of one: placement; takes --trace, --seeds, --jobs, --resume, --record",
    )
    .option("--resume <file>", "of a suite: keep finished runs here and leave out those that are")
    .option("--report", "of a suite: only tell what --resume has")
    .option("--record", "also write the tables and plots to bench/results/")
    .action((flags: SimulateFlags, command: Command) => simulate(flags, outputOf(command)));
}

async function simulate(flags: SimulateFlags, output: OutputFormat): Promise<void> {
  if (flags.suite !== undefined) {
    const { simulateSuite } = await import("../placement-suite-command.ts");
    await simulateSuite(flags.suite, flags, output);
    return;
  }
  const { joinSeeds } = await import("#scheduler/sim");
  const comparison = joinSeeds(await runSeeds(await comparisonOf(flags), flags.jobs));
  const { createReport, printReport } = await import("#bench"); // Loads an inference runtime: not before it is needed.
  if (flags.plots !== undefined) await writePlots(flags.plots, comparison);
  printReport(await createReport("simulate", tableOf(comparison), summaryOf(comparison)), output);
}

async function comparisonOf(flags: SimulateFlags): Promise<ComparisonOptions> {
  const { COMPARISON_DEFAULTS, POLICIES } = await import("#scheduler/sim");
  return {
    ...COMPARISON_DEFAULTS,
    ...numbers(flags),
    workload: await workloadOf(flags),
    policies: flags.policy ?? [...POLICIES.keys()],
    ...(flags.model === undefined ? {} : { model: flags.model }),
    faults: flags.faults ?? false,
    sizeForSlo: flags.sizeForSlo,
    waits: flags.waits,
  };
}

/** In order, however they end. */
async function runSeeds(options: ComparisonOptions, jobs: number): Promise<readonly SeedComparison[]> {
  const seeds: SeedComparison[] = [];
  const tasks = Array.from({ length: options.seeds }, (_, index) => ({ options, seed: index + 1 }));
  await runSimulations(tasks, jobs, (index, result) => {
    seeds[index] = result;
    printMessage(`seed ${index + 1} of ${options.seeds}: ${result.requests} requests`);
  });
  return seeds;
}

async function workloadOf(flags: SimulateFlags): Promise<ComparisonOptions["workload"]> {
  if (flags.trace !== undefined && flags.workload !== undefined) {
    throw new Fault("parameter_invalid", "--trace and --workload exclude each other", { detail: { field: "workload" } });
  }
  if (flags.trace === undefined) return (flags.workload ?? "poisson") as ArrivalsName; // An unknown name is refused by compare.
  return readTraceFile(flags.trace);
}

/** Only what was given: the rest has its defaults. */
function numbers({ nodes, deltas, oversubscription, seeds, minutes, load, skew }: SimulateFlags): Partial<ComparisonOptions> {
  const given = {
    ...{ nodeCount: nodes, deltaCount: deltas, seeds, oversubscription, load, skew },
    durationMs: minutes === undefined ? undefined : minutes * MINUTE,
  };
  return Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined));
}

function summaryOf({ policies, speedOverRealTime }: Comparison): Record<string, number> {
  const summary: Record<string, number> = {};
  for (const { policy, figures, nodesAtSlo } of policies) {
    for (const metric of SUMMARY) summary[`${policy.name}.${metric}`] = figures[metric].mean;
    if (nodesAtSlo) summary[`${policy.name}.nodes_at_slo`] = nodesAtSlo.mean;
  }
  return { ...summary, speed_over_real_time: speedOverRealTime };
}

async function writePlots(directory: string, { policies }: Comparison): Promise<void> {
  const { barPlot } = await import("#scheduler/sim");
  await mkdir(directory, { recursive: true });
  for (const [metric, title] of SIMULATION_COLUMNS) {
    const bars = policies.map(({ policy, figures }) => ({ name: policy.name, value: figures[metric] }));
    await writeFile(join(directory, `${metric.replaceAll("_", "-")}.svg`), barPlot(title, bars));
  }
  printMessage(`${SIMULATION_COLUMNS.length} plots in ${directory}`);
}

function positive(text: string): number {
  const value = Number(text);
  if (!(value > 0 && Number.isFinite(value))) throw new InvalidArgumentError("must be a number above zero");
  return value;
}

function wholePositive(text: string): number {
  const value = positive(text);
  if (!Number.isInteger(value)) throw new InvalidArgumentError("must be a whole number above zero");
  return value;
}
