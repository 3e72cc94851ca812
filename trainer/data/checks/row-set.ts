import { LINES_SHOWN } from "../records/record.ts";
import type { Row } from "../rows.ts";

/** Rows of a file: one bit each, and the line numbers of the first few. */
export class RowSet {
  #bits = new Uint32Array(32);
  #size = 0;
  readonly #firstLines: number[] = [];

  add({ ordinal, line }: Row): void {
    if (this.has(ordinal)) return;
    const word = ordinal >>> 5;
    if (word >= this.#bits.length) {
      const larger = new Uint32Array(Math.max(word + 1, this.#bits.length * 2));
      larger.set(this.#bits);
      this.#bits = larger;
    }
    this.#bits[word]! |= 1 << (ordinal & 31);
    this.#size++;
    if (this.#firstLines.length < LINES_SHOWN) this.#firstLines.push(line);
  }

  has(ordinal: number): boolean {
    return ((this.#bits[ordinal >>> 5] ?? 0) & (1 << (ordinal & 31))) !== 0;
  }

  get size(): number {
    return this.#size;
  }

  /** In the order in which they were added. */
  get firstLines(): readonly number[] {
    return this.#firstLines;
  }
}

/** "3 rows (lines 2, 7, 9)". */
export function describeRows(rows: RowSet): string {
  const lines = rows.firstLines.join(", ");
  const more = rows.size > rows.firstLines.length ? ", …" : "";
  return `${countOf(rows.size, "row")} (line${rows.size === 1 ? "" : "s"} ${lines}${more})`;
}

export function countOf(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? "" : "s"}`;
}
