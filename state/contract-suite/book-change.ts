import type { BookChange, Journal, Line } from "../contract.ts";

/** A change of one line that says `text`, on top of `basedOn`, and what else it does. */
export function changeOf(book: string, basedOn: number, text: string, more: Partial<BookChange> = {}): BookChange {
  return { book, basedOn, lines: [lineOf(text)], values: new Map(), counters: [], releases: [], ...more };
}

/** Hashes are the writer's business: any text will do. */
export function lineOf(text: string): Line {
  return { text, hash: `hash of ${text}` };
}

/** All texts of a book, in order. */
export async function textsOf(journal: Journal, book: string): Promise<readonly string[]> {
  return (await journal.lines(book, 1, 10_000)).map(({ text }) => text);
}

/** What one counter says. */
export async function counterOf(journal: Journal, book: string, group: string, name: string): Promise<bigint | undefined> {
  return (await journal.counters(book, [group]))[0]!.get(name);
}
