import { appendFile, mkdir, readFile, rename, writeFile } from "node:fs/promises";
import { dirname } from "node:path";
import type { MetricRow, Sink } from "./contract.ts";
import { lastWholeLine } from "./line-file.ts";

/**
 * The columns that OpenAI's result file has, in its order; cells that were not measured are empty.
 *
 * Files of 2021 and 2022 (`openai api fine_tunes.results`) were other: step, elapsed_tokens, elapsed_examples, training_loss,
 * training_sequence_accuracy, training_token_accuracy, validation_*, classification/*. We write the present names only;
 * `classification/*` has kept its name.
 */
const COLUMNS = ["step", "train_loss", "train_accuracy", "valid_loss", "valid_mean_token_accuracy"] as const;

/** Columns that come when they are first measured. Everything else that is measured is in metrics.jsonl only. */
const EXTRA_COLUMN = /^(full_valid_loss|full_valid_mean_token_accuracy|classification\/.+)$/;

/** `results.csv`: what the job's result file holds and what `wandb sync` reads. */
export function createResultsFile(file: string): Sink {
  let columns: readonly string[] = COLUMNS;

  return {
    name: "results",
    pauseMs: 0,
    async start() {
      await mkdir(dirname(file), { recursive: true });
      const last = await lastWholeLine(file, (line) => line);
      columns = last === undefined ? COLUMNS : parseHeader(await readFile(file, "utf8"));
      if (last === undefined) await writeFile(file, `${COLUMNS.join(",")}\n`);
      return { heldStep: Number.parseInt(last ?? "", 10) || 0 }; // The header alone is no number.
    },
    async write(rows) {
      const wider = [...new Set([...columns, ...rows.flatMap((row) => [...row.metrics.keys()].filter((name) => EXTRA_COLUMN.test(name)))])];
      if (wider.length > columns.length) await widen(file, columns, wider);
      columns = wider;
      await appendFile(file, rows.map((row) => formatRow(row, wider)).join(""));
    },
    async finish() {}, // The file is whole after every write.
  };
}

function parseHeader(text: string): readonly string[] {
  return text.slice(0, text.indexOf("\n")).split(",");
}

function formatRow(row: MetricRow, columns: readonly string[]): string {
  const cells = columns.map((name) => (name === "step" ? row.step : (row.metrics.get(name) ?? "")));
  return `${cells.join(",")}\n`;
}

/** Adds empty cells to all lines; at no time is there half a file. */
async function widen(file: string, from: readonly string[], to: readonly string[]): Promise<void> {
  const [, ...lines] = (await readFile(file, "utf8")).split("\n").slice(0, -1);
  const empty = ",".repeat(to.length - from.length);
  await writeFile(`${file}.next`, [to.join(","), ...lines.map((line) => `${line}${empty}`)].map((line) => `${line}\n`).join(""));
  await rename(`${file}.next`, file);
}
