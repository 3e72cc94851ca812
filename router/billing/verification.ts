import type { Head } from "#state";
import { type Recount, type RecountPrices, recountBook } from "../ledger/index.ts";
import type { BookPart } from "./book-reading.ts";

export interface VerifiedBook {
  readonly book: string;
  readonly recount: Recount;
}

/**
 * Recounts books as they stream by, each against what the ledger says of it. Memory grows with one book's requests.
 * @param parts of one book after the other, as `readBook` gives them
 */
export async function* verifyBooks(
  parts: AsyncIterable<BookPart>,
  prices: ReadonlyMap<number, RecountPrices>,
): AsyncGenerator<VerifiedBook> {
  const iterator = parts[Symbol.asyncIterator]();
  let next = await iterator.next();
  while (!next.done) {
    const { book } = next.value;
    const counters = new Map<string, bigint>();
    // A stream that ends before the totals leaves these, which no book with a line agrees with.
    const totals: { head: Head; readonly counters: Map<string, bigint> } = { head: { position: 0, hash: "" }, counters };
    const lines = async function* () {
      for (; !next.done && next.value.book === book; next = await iterator.next()) {
        const part = next.value;
        if (part.kind === "lines") yield* part.lines;
        else {
          totals.head = part.head;
          for (const [name, value] of part.counters) counters.set(name, value);
        }
      }
    };
    // The totals are looked at when the lines have ended, and so have come by then.
    yield { book, recount: await recountBook({ book, lines: lines(), totals, prices }) };
  }
}
