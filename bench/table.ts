import type { BenchReport, BenchRow } from "./report.ts";

/** Prints a report to stdout: a table for people, or one JSON object. */
export function printReport(report: BenchReport, output: "table" | "json"): void {
  process.stdout.write(`${output === "json" ? JSON.stringify(report, null, 2) : formatReport(report)}\n`);
}

/** A report for people: machine and commit, the rows, the summary. No colour, no box drawing: it also goes into Markdown files. */
export function formatReport(report: BenchReport): string {
  const { cpu, cores, memoryGib, node, runtime, device } = report.machine;
  const summary = Object.entries(report.summary).map(([figure, value]) => ({ figure, value }));
  return [
    `# ${report.name}`,
    `${device === undefined ? "" : `${device}; `}${cpu}, ${cores} cores, ${memoryGib} GiB, Node ${node}, ${runtime}; commit ${report.commit}`,
    formatTable(report.rows),
    formatTable(summary),
  ].join("\n\n");
}

/** Rows as an aligned Markdown table; numbers to the right, with at most three decimals. */
export function formatTable(rows: readonly BenchRow[]): string {
  const columns = Object.keys(rows[0] ?? {});
  if (columns.length === 0) return "(no rows)";
  const cells = rows.map((row) => columns.map((column) => formatCell(row[column])));
  const widths = columns.map((column, index) => Math.max(column.length, 3, ...cells.map((line) => line[index]!.length)));
  const numeric = columns.map((column) => rows.every((row) => typeof row[column] === "number" || row[column] === ""));
  const line = (texts: readonly string[]) =>
    `| ${texts.map((text, index) => (numeric[index] ? text.padStart(widths[index]!) : text.padEnd(widths[index]!))).join(" | ")} |`;
  const rule = `| ${widths.map((width, index) => (numeric[index] ? `${"-".repeat(width - 1)}:` : "-".repeat(width))).join(" | ")} |`;
  return [line(columns), rule, ...cells.map(line)].join("\n");
}

function formatCell(value: string | number | undefined): string {
  if (typeof value !== "number") return value ?? "";
  if (Number.isInteger(value)) return String(value);
  const decimals = Math.abs(value) >= 100 ? 0 : Math.abs(value) >= 10 ? 1 : Math.abs(value) >= 1 ? 2 : 3;
  return value.toFixed(decimals);
}
