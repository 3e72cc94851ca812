import { styleText } from "node:util";
import { isFault } from "#kernel";

/** Data goes to stdout, messages to stderr, so that a pipe carries data only. Colour follows NO_COLOR and the terminal. */

export type OutputFormat = "table" | "json";

export interface Column<Row> {
  readonly title: string;
  readonly value: (row: Row) => string | number;
  readonly align?: "left" | "right";
}

/** Prints rows as an aligned table, or as one JSON array of the rows themselves. */
export function printRows<Row>(format: OutputFormat, rows: readonly Row[], columns: readonly Column<Row>[]): void {
  if (format === "json") {
    printData(JSON.stringify(rows, null, 2));
    return;
  }
  const cells = [
    columns.map((column) => column.title.toUpperCase()),
    ...rows.map((row) => columns.map((column) => String(column.value(row)))),
  ];
  const widths = columns.map((_, index) => Math.max(...cells.map((line) => line[index]!.length)));
  for (const line of cells) {
    const padded = line.map((cell, index) =>
      columns[index]!.align === "right" ? cell.padStart(widths[index]!) : cell.padEnd(widths[index]!),
    );
    printData(padded.join("  ").trimEnd());
  }
}

export function printData(text: string): void {
  process.stdout.write(`${text}\n`);
}

export function printMessage(text: string): void {
  process.stderr.write(`${text}\n`);
}

export function printFault(error: unknown): void {
  const label = styleText("red", "error", { stream: process.stderr });
  if (isFault(error)) printMessage(`${label}: ${error.message} (${error.reason})`);
  else printMessage(`${label}: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`);
}

const BYTE_UNITS = ["B", "KiB", "MiB", "GiB", "TiB"];

export function formatBytes(sizeBytes: number): string {
  const power = sizeBytes < 1 ? 0 : Math.min(BYTE_UNITS.length - 1, Math.floor(Math.log2(sizeBytes) / 10));
  return `${(sizeBytes / 1024 ** power).toFixed(power === 0 ? 0 : 1)} ${BYTE_UNITS[power]}`;
}

export function formatTime(atMs: number): string {
  return atMs === 0 ? "-" : new Date(atMs).toISOString().replace(/\.\d+Z$/, "Z");
}
