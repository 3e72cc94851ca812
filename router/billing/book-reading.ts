import type { Clock } from "#kernel";
import type { Head, Journal, StoredLine } from "#state";
import { readLines, readTotals } from "../ledger/index.ts";

/** A book as it comes out of the store: its lines in pages, then what the ledger itself says of it, in pieces. */
export type BookPart =
  | { readonly kind: "lines"; readonly book: string; readonly lines: readonly StoredLine[] }
  | {
      readonly kind: "totals";
      readonly book: string;
      readonly head: Head;
      /** By `<group> <name>`; all pieces together are all of the book's counters. */
      readonly counters: ReadonlyMap<string, bigint>;
    };

/** A line is about a kilobyte at most, so a page stays far below what a message may hold. */
const PAGE_LINES = 500;
/** Likewise. */
const PIECE_COUNTERS = 5_000;

/**
 * Reads a book so that lines and totals belong together while others write in it: both are those of one moment. Holds a
 * page of lines and the book's counters in memory.
 *
 * @throws Fault version_conflict when the book is written in all the time
 */
export async function* readBook(deps: { readonly journal: Journal; readonly clock: Clock }, book: string): AsyncGenerator<BookPart> {
  const { head, counters } = await readTotals(deps, book);
  let lines: StoredLine[] = [];
  for await (const line of readLines(deps.journal, book, head)) {
    lines.push(line);
    if (lines.length < PAGE_LINES) continue;
    yield { kind: "lines", book, lines };
    lines = [];
  }
  if (lines.length > 0) yield { kind: "lines", book, lines };
  const all = [...counters];
  for (let first = 0; first === 0 || first < all.length; first += PIECE_COUNTERS) {
    yield { kind: "totals", book, head, counters: new Map(all.slice(first, first + PIECE_COUNTERS)) };
  }
}
