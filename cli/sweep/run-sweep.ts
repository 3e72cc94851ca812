import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Command } from "commander";
import { Fault } from "#kernel";
import type { Connection } from "../connection.ts";
import { lossCurve } from "../loss-curve.ts";
import { onlyBase } from "../only-base.ts";
import { printData, printMessage, printRows } from "../output.ts";
import { adviseOnExamples } from "./advice.ts";
import { cellName, cellsOf } from "./cells.ts";
import { curvePlot } from "./curve-plot.ts";
import { exactMatch, readQuestions } from "./exact-match.ts";
import { type Curve, comparesLosses, curvesOf, SWEEP_COLUMNS, type SweepRow, sweepRow } from "./score-table.ts";
import { type SubsetFiles, writeSubsets } from "./subset-files.ts";
import { isAgreed } from "./sweep-cost.ts";
import { type Sweep, trainCells } from "./sweep-jobs.ts";

export interface SweepOptions {
  readonly trainingFile: string;
  readonly sizes?: readonly number[];
  readonly valid?: string;
  readonly model?: readonly string[];
  readonly epochs?: readonly number[];
  readonly lrMult?: readonly number[];
  readonly rank?: readonly number[];
  readonly seed: number;
  readonly tenant?: string;
  readonly out?: string;
  readonly exactMatch: boolean;
  readonly yes: boolean;
}

const CURVE = { columns: 76, rows: 14 } as const;
/** Of the line between the points that the terminal shows. */
const DOTS_BETWEEN = 24;

/** @throws Fault job_not_running when a job failed, after all were tried and what there is was printed */
export async function runSweep(connection: Connection, options: SweepOptions, command: Command): Promise<void> {
  const { seed, tenant: tenantId = "" } = options;
  const bases = options.model ?? [await onlyBase(connection.channel)];
  const wish = { validationFile: options.valid, sizes: options.sizes, directory: options.out };
  const files = await writeSubsets({ ...wish, trainingFile: options.trainingFile, seed });
  const { epochs = [], lrMult: learningRateMultipliers = [], rank: ranks = [] } = options;
  const cells = cellsOf({ examples: [...files.subsets.keys()], bases, epochs, learningRateMultipliers, ranks });
  if (!(await isAgreed({ cells, files, yes: options.yes }, command))) return;
  const rows = await measure(connection, { files, cells, seed, tenantId }, options.exactMatch);
  await report(connection, files, rows);
  const failed = rows.filter(({ state }) => state !== "succeeded");
  if (failed.length > 0)
    throw new Fault("job_not_running", `${failed.length} of ${rows.length} jobs did not succeed; the same command tries them again`);
}

async function measure(connection: Connection, sweep: Sweep, asks: boolean): Promise<readonly SweepRow[]> {
  const questions = asks ? await readQuestions(sweep.files.heldOut.path) : undefined;
  const rows: SweepRow[] = [];
  for await (const trained of trainCells(connection, sweep)) {
    const { fineTunedModel: model, error } = trained.job;
    const share = questions && model !== "" ? await exactMatch(connection, model, questions) : undefined;
    const row = sweepRow(trained, share);
    rows.push(row);
    const score = row.loss === undefined ? (error?.message ?? row.state) : `loss ${row.loss.toFixed(4)}`;
    printMessage(`${rows.length}/${sweep.cells.length}  ${cellName(trained.cell)}: ${score}`);
  }
  return rows;
}

async function report({ output }: Connection, { sweepId, directory, heldOut }: SubsetFiles, rows: readonly SweepRow[]): Promise<void> {
  const curves = curvesOf(rows);
  const advice = adviseOnExamples(curves[0]?.points ?? [], heldOut.records);
  const plots = await writePlots(directory, curves);
  const result = { sweep: sweepId, heldOutRecords: heldOut.records, best: curves[0]?.setting, advice, rows, plots };
  const json = JSON.stringify(result, null, 2);
  await writeFile(join(directory, "results.json"), `${json}\n`);
  if (output === "json") {
    printData(json);
    return;
  }
  printRows(output, rows, SWEEP_COLUMNS);
  const color = process.stderr.isTTY && process.env["NO_COLOR"] === undefined;
  for (const line of lossCurve(terminalLines(curves), { ...CURVE, color })) printMessage(line);
  if (comparesLosses(curves)) printMessage("Losses of different bases compare only if these have the same tokenizer.");
  if (curves.length > 1) printMessage(`best: ${curves[0]!.setting}`);
  printMessage(`written: ${[...plots, join(directory, "results.json")].join(", ")}`);
  printData(advice);
}

/** A plot for each figure that was measured. */
async function writePlots(directory: string, curves: readonly Curve[]): Promise<readonly string[]> {
  const figures = [
    ["loss", "held-out loss", "loss"],
    ["token-accuracy", "held-out token accuracy", "tokenAccuracy"],
    ["exact-match", "held-out exact match", "exactMatch"],
  ] as const;
  const written: string[] = [];
  for (const [file, title, field] of figures) {
    const lines = curves.map(({ setting: name, points }) => ({
      name,
      points: points.flatMap((point): [number, number][] => (point[field] === undefined ? [] : [[point.examples, point[field]]])),
    }));
    if (lines.every(({ points }) => points.length === 0)) continue;
    const path = join(directory, `${file}.svg`);
    await writeFile(path, curvePlot(title, lines));
    written.push(path);
  }
  return written;
}

/** The best setting as a line, the others as marks. */
function terminalLines(curves: readonly Curve[]) {
  return curves.map(({ setting, points }, index) => ({
    name: index === 0 ? `held-out loss, ${setting}` : setting,
    points: index === 0 ? joined(points) : points.map(({ examples, loss }): [number, number] => [examples, loss]),
  }));
}

function joined(points: Curve["points"]): readonly [number, number][] {
  return points.flatMap(({ examples, loss }, index) => {
    const next = points[index + 1];
    if (!next) return [[examples, loss]];
    return Array.from({ length: DOTS_BETWEEN }, (_, dot): [number, number] => {
      const share = dot / DOTS_BETWEEN;
      return [examples + share * (next.examples - examples), loss + share * (next.loss - loss)];
    });
  });
}
