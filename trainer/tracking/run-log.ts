import { appendFile, mkdir, open, stat } from "node:fs/promises";
import { dirname } from "node:path";
import { type Bytes, GIB, KIB } from "#kernel";
import type { MetricRow } from "./contract.ts";
import { LINE_BYTES_MAX, lastWholeLine } from "./line-file.ts";
import { formatRow, parseRow } from "./metric-row.ts";

/** A run of a million steps writes about a third of it. */
const LOG_BYTES_MAX: Bytes = GIB;
/** What a sink is given at once, at most; more than a line. */
const READ_BYTES: Bytes = 256 * KIB;

/** Rows, and where the next ones begin. */
export interface LogBatch {
  readonly rows: readonly MetricRow[];
  readonly position: Bytes;
}

/**
 * A run's steps as JSON lines in one file: what is true, and what all sinks are fed from. Each step is there once, in order,
 * whatever crashed and was repeated. Survives the process, not a power cut: the steps can be trained again.
 */
export class RunLog {
  readonly #file: string;
  #sizeBytes: Bytes;
  #lastStep: number;

  private constructor(file: string, sizeBytes: Bytes, lastStep: number) {
    this.#file = file;
    this.#sizeBytes = sizeBytes;
    this.#lastStep = lastStep;
  }

  static async open(file: string): Promise<RunLog> {
    await mkdir(dirname(file), { recursive: true });
    const last = await lastWholeLine(file, parseRow);
    return new RunLog(file, last === undefined ? 0 : (await stat(file)).size, last?.step ?? 0);
  }

  /**
   * Appends the rows that are new. Gives how many could not be taken: too long, or the log is full. When it throws, nobody
   * knows how much is there: open the log again.
   */
  async append(rows: readonly MetricRow[]): Promise<number> {
    const lines: string[] = [];
    let [sizeBytes, lastStep, refused] = [this.#sizeBytes, this.#lastStep, 0];
    for (const row of rows) {
      if (row.step <= lastStep) continue;
      const line = `${formatRow(row)}\n`;
      const lineBytes = Buffer.byteLength(line);
      if (lineBytes > LINE_BYTES_MAX || sizeBytes + lineBytes > LOG_BYTES_MAX) {
        refused += 1;
        continue;
      }
      lines.push(line);
      sizeBytes += lineBytes;
      lastStep = row.step;
    }
    if (lines.length > 0) await appendFile(this.#file, lines.join(""));
    [this.#sizeBytes, this.#lastStep] = [sizeBytes, lastStep];
    return refused;
  }

  /** The next rows at `position` whose step is after `heldStep`; the same position again when there is nothing more. */
  async read(position: Bytes, heldStep: number): Promise<LogBatch> {
    const sizeBytes = Math.min(READ_BYTES, this.#sizeBytes - position);
    if (sizeBytes <= 0) return { rows: [], position };
    const handle = await open(this.#file, "r");
    try {
      const bytes = Buffer.alloc(sizeBytes);
      await handle.read(bytes, 0, sizeBytes, position);
      const whole = bytes.lastIndexOf(0x0a) + 1;
      const lines = bytes.toString("utf8", 0, whole).split("\n").slice(0, -1);
      const rows = lines.map(parseRow).filter((row) => row !== undefined && row.step > heldStep) as MetricRow[];
      return { rows, position: position + whole };
    } finally {
      await handle.close();
    }
  }
}
