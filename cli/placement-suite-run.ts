import { appendFile, readFile } from "node:fs/promises";
import type { SeedComparison, SuiteCell } from "#scheduler/sim";
import { printMessage } from "./output.ts";
import { runSimulations } from "./simulation-jobs.ts";

export interface SuiteRunOptions {
  readonly jobs: number;
  /** Finished seeds are appended here, one JSON object a line, and taken from here: a run that was interrupted goes on. For one state of the code only. */
  readonly resume?: string | undefined;
}

/** One cell with its seeds, in order. */
export interface CellResult {
  readonly cell: SuiteCell;
  readonly seeds: readonly SeedComparison[];
}

/** Runs every seed of every cell that `resume` does not have yet, the first cells first. */
export async function runSuite(cells: readonly SuiteCell[], { jobs, resume }: SuiteRunOptions): Promise<readonly CellResult[]> {
  const finished = await readFinished(resume);
  const wanted = cells.flatMap((cell) => Array.from({ length: cell.options.seeds }, (_, index) => ({ cell, seed: index + 1 })));
  const missing = wanted.filter(({ cell, seed }) => !finished.has(keyOf(cell, seed)));
  printMessage(`${missing.length} of ${wanted.length} runs to do`);
  const tasks = missing.map(({ cell, seed }) => ({ options: cell.options, seed }));
  let count = 0;
  await runSimulations(tasks, jobs, async (index, result) => {
    const { cell, seed } = missing[index]!;
    const key = keyOf(cell, seed);
    finished.set(key, result);
    if (resume !== undefined) await appendFile(resume, `${JSON.stringify({ key, result })}\n`);
    if (++count % REPORT_EVERY === 0) printMessage(`${count} of ${missing.length}: ${cell.group}, ${cell.workload}`);
  });
  return resultsOf(cells, finished);
}

/** The cells of which every seed is there already. */
export async function readSuite(cells: readonly SuiteCell[], resume: string): Promise<readonly CellResult[]> {
  const whole = resultsOf(cells, await readFinished(resume)).filter(({ cell, seeds }) => seeds.length === cell.options.seeds);
  printMessage(`${whole.length} of ${cells.length} tables are whole`);
  return whole;
}

const REPORT_EVERY = 10;

function resultsOf(cells: readonly SuiteCell[], finished: ReadonlyMap<string, SeedComparison>): readonly CellResult[] {
  return cells.map((cell) => ({
    cell,
    seeds: Array.from({ length: cell.options.seeds }, (_, index) => finished.get(keyOf(cell, index + 1))).filter(
      (seed) => seed !== undefined,
    ),
  }));
}

async function readFinished(path: string | undefined): Promise<Map<string, SeedComparison>> {
  const text = path === undefined ? "" : await readFile(path, "utf8").catch((error: NodeJS.ErrnoException) => onlyMissing(error));
  const lines = text.split("\n").filter((line) => line.endsWith("}")); // A line that was cut off by an interruption is done again.
  return new Map(lines.map((line) => JSON.parse(line) as { key: string; result: SeedComparison }).map(({ key, result }) => [key, result]));
}

function onlyMissing(error: NodeJS.ErrnoException): string {
  if (error.code === "ENOENT") return "";
  throw error;
}

function keyOf({ group, workload, options }: SuiteCell, seed: number): string {
  const { nodeCount, deltaCount, oversubscription, durationMs, load, skew, model, faults, policies } = options;
  return JSON.stringify({
    group,
    workload,
    nodeCount,
    deltaCount,
    oversubscription,
    durationMs,
    load,
    skew,
    model,
    faults,
    policies,
    seed,
  });
}
