import type { BookTotals, ReadJournalResponse } from "#proto";
import type { BookPart } from "./book-reading.ts";

/** A book on the wire: amounts as decimal text. */
export function bookPartToMessage(part: BookPart): ReadJournalResponse {
  if (part.kind === "lines") return { book: part.book, lines: [...part.lines], totals: undefined };
  const counters = Object.fromEntries([...part.counters].map(([name, value]) => [name, value.toString()]));
  const totals: BookTotals = { position: part.head.position, hash: part.head.hash, counters };
  return { book: part.book, lines: [], totals };
}

/** Books as `ReadJournal` streams them. */
export async function* bookPartsFromMessages(messages: AsyncIterable<ReadJournalResponse>): AsyncGenerator<BookPart> {
  for await (const { book, lines, totals } of messages) {
    if (lines.length > 0) yield { kind: "lines", book, lines };
    if (!totals) continue;
    const counters = new Map(Object.entries(totals.counters).map(([name, value]) => [name, BigInt(value)]));
    yield { kind: "totals", book, head: { position: totals.position, hash: totals.hash }, counters };
  }
}
