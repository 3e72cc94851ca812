import { type Clock, Fault, type Millis, SECOND } from "#kernel";
import type { Head, Journal, StoredLine } from "#state";

/** What the ledger itself says of a book: what a recount of its lines is compared with. */
export interface BookTotals {
  readonly head: Head;
  /** By `<group> <name>`; a group's name has no blank. */
  readonly counters: ReadonlyMap<string, bigint>;
}

/** Groups read at a time. */
const GROUPS_AT_ONCE = 16;
const PAGE_LINES = 500;
/** A book that is written in between is read again; a busy one has its pauses. */
const TRIES_MAX = 20;
const PAUSE_MS: Millis = SECOND / 10;

/** Head and counters of one moment. @throws Fault version_conflict when the book is written in all the time */
export async function readTotals(deps: { readonly journal: Journal; readonly clock: Clock }, book: string): Promise<BookTotals> {
  for (let tries = 0; tries < TRIES_MAX; tries++) {
    if (tries > 0) await deps.clock.after(PAUSE_MS);
    const before = await headOf(deps.journal, book);
    const counters = await allCounters(deps.journal, book);
    const head = await headOf(deps.journal, book);
    if (head.position === before.position) return { head, counters };
  }
  throw new Fault("version_conflict", `the book ${book} is written in all the time`, { detail: { resource: book } });
}

/** The lines up to the last one of `head`: those that the totals of that moment speak of. Bounded memory. */
export async function* readLines(journal: Journal, book: string, head: Head): AsyncGenerator<StoredLine> {
  for (let from = 1; from <= head.position; ) {
    const lines = await journal.lines(book, from, Math.min(PAGE_LINES, head.position - from + 1));
    if (lines.length === 0) return; // Then the recount tells that lines are missing.
    yield* lines;
    from += lines.length;
  }
}

async function headOf(journal: Journal, book: string): Promise<Head> {
  const [page] = await journal.read([{ book, keys: [] }]);
  return page!.head;
}

async function allCounters(journal: Journal, book: string): Promise<ReadonlyMap<string, bigint>> {
  const groups = await journal.groups(book);
  const all = new Map<string, bigint>();
  for (let first = 0; first < groups.length; first += GROUPS_AT_ONCE) {
    const some = groups.slice(first, first + GROUPS_AT_ONCE);
    for (const [index, counters] of (await journal.counters(book, some)).entries()) {
      for (const [name, amount] of counters) all.set(`${some[index]} ${name}`, amount);
    }
  }
  return all;
}
