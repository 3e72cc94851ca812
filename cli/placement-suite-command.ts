import { basename } from "node:path";
import { Fault } from "#kernel";
import { printMessage } from "./output.ts";
import { appendTables, placementReport, writeSuitePlots } from "./placement-suite-report.ts";
import { readSuite, runSuite } from "./placement-suite-run.ts";
import { readTraceFile } from "./trace-option.ts";

export interface SuiteFlags {
  readonly trace?: string;
  readonly seeds?: number;
  readonly jobs: number;
  readonly resume?: string;
  readonly report?: boolean;
  readonly record?: boolean;
  /** Of virtual time for the usual cell; the others in proportion. */
  readonly minutes?: number;
}

const SEEDS = 10;
/** What a small cell takes when nothing is said. */
const MINUTES = 5;

/** `deltaplane simulate --suite placement`: every table of docs/placement.md. */
export async function simulateSuite(name: string, flags: SuiteFlags, output: "table" | "json"): Promise<void> {
  if (name !== "placement") throw new Fault("parameter_invalid", `no suite ${name}; there is placement`, { detail: { field: "suite" } });
  const { placementSuite } = await import("#scheduler/sim");
  const trace = flags.trace === undefined ? undefined : { name: basename(flags.trace), requests: await readTraceFile(flags.trace) };
  const cells = placementSuite({ seeds: flags.seeds ?? SEEDS, trace, timeScale: (flags.minutes ?? MINUTES) / MINUTES });
  if (flags.report && flags.resume === undefined) {
    throw new Fault("parameter_invalid", "--report tells what a file has: give --resume", { detail: { field: "resume" } });
  }
  const results = flags.report ? await readSuite(cells, flags.resume!) : await runSuite(cells, flags);
  const report = await placementReport(results);
  const { printReport, recordReport } = await import("#bench");
  printReport(report, output);
  if (!flags.record) return;
  const path = await recordReport(report);
  await appendTables(path, results);
  printMessage(`recorded in ${path}`);
  printMessage(`plots in ${await writeSuitePlots(results)}`);
}
