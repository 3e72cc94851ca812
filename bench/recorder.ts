import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { BenchReport } from "./report.ts";
import { formatReport } from "./table.ts";

/** Where figures that documents quote are kept. */
const RESULTS_DIRECTORY = join(import.meta.dirname, "results");

/** Writes `<name>-<date>.json` and `.md` beside the benches; a later run of the same day replaces them. Gives the path of the Markdown file. */
export async function recordReport(report: BenchReport, directory: string = RESULTS_DIRECTORY): Promise<string> {
  await mkdir(directory, { recursive: true });
  const stem = join(directory, `${report.name}-${new Date().toISOString().slice(0, 10)}`);
  await writeFile(`${stem}.json`, `${JSON.stringify(report, null, 2)}\n`);
  await writeFile(`${stem}.md`, `${formatReport(report)}\n`);
  return `${stem}.md`;
}
