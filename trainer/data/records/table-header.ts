import type { JsonObject, JsonValue } from "#model";
import { lineFault, type SourceRecord } from "./record.ts";

/** The first row of a table, which names the fields of all others. */
export class TableHeader {
  readonly #names: readonly string[];

  /** @throws Fault file_malformed for a name that occurs twice */
  constructor(file: string, line: number, cells: readonly string[]) {
    this.#names = cells.map((cell, index) => cell.trim() || `column ${index + 1}`);
    const twice = this.#names.find((name, index) => this.#names.indexOf(name) !== index);
    if (twice !== undefined) throw lineFault(file, line, `the header names the column ${JSON.stringify(twice)} twice`);
  }

  get width(): number {
    return this.#names.length;
  }

  /** A row as a record; it may not have more or fewer cells than the header, for then nobody knows which is missing. */
  record(line: number, cells: readonly JsonValue[]): SourceRecord {
    if (cells.length !== this.width) return { line, problem: `has ${cells.length} cells where the header has ${this.width}` };
    const fields: Record<string, JsonValue> = Object.create(null);
    for (const [index, name] of this.#names.entries()) fields[name] = cells[index]!;
    return { line, fields: fields as JsonObject };
  }
}
