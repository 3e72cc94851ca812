import { assert } from "#kernel";
import type { BookChange, Committed, CounterChange, Head, Journal, Line, Page, StoredLine } from "../contract.ts";
import { checkAsks, checkChanges, checkName, checkNames, checkPage, counterFull } from "../limits.ts";
import type { Database } from "./database.ts";

/** Where the holds are that end with a change. */
export interface Releases {
  endHolds(account: string, ids: readonly string[]): void;
}

/** A book's row; the id stands for its name in the other tables. */
interface BookRow extends Head {
  readonly id: number;
}

const EMPTY: Head = { position: 0, hash: "" };
const CONFLICT: Committed = { kind: "conflict" };

/** Books in SQLite: one transaction, and so one sync of the disk, for all changes of a commit. */
export class EmbeddedJournal implements Journal {
  readonly #database: Database;
  readonly #holds: Releases;

  constructor(database: Database, holds: Releases) {
    this.#database = database;
    this.#holds = holds;
  }

  async read(asks: Parameters<Journal["read"]>[0]): Promise<readonly Page[]> {
    checkAsks(asks);
    return asks.map(({ book, keys }) => this.#page(book, keys));
  }

  async commit(changes: readonly BookChange[]): Promise<readonly Committed[]> {
    checkChanges(changes);
    const outcomes = this.#database.transaction(() => changes.map((change) => this.#commit(change)));
    // Nothing runs between the transaction and this: whoever asks sees the money either held or spent.
    for (const [index, { book, releases }] of changes.entries()) {
      if (outcomes[index]!.kind === "committed") this.#holds.endHolds(book, releases);
    }
    return outcomes;
  }

  async lines(book: string, from: number, count: number): Promise<readonly StoredLine[]> {
    checkPage(book, from, count);
    const sql = "SELECT position, text, hash FROM lines WHERE book = (SELECT id FROM books WHERE name = ?) AND position BETWEEN ? AND ?";
    const rows = this.#database.all(`${sql} ORDER BY position`, book, from, Math.min(from + count - 1, Number.MAX_SAFE_INTEGER));
    return rows.map((row) => ({ position: row["position"] as number, text: row["text"] as string, hash: row["hash"] as string }));
  }

  async counters(book: string, groups: readonly string[]): Promise<readonly ReadonlyMap<string, bigint>[]> {
    checkName("book", book);
    for (const group of groups) checkName("group", group);
    const id = this.#book(book)?.id;
    return groups.map((group) => {
      const rows = id === undefined ? [] : this.#database.all(`${COUNTERS} WHERE book = ? AND group_name = ?`, id, group);
      return new Map(rows.map(({ name, amount }) => [name as string, BigInt(amount as string)]));
    });
  }

  async groups(book: string): Promise<readonly string[]> {
    checkName("book", book);
    const sql = "SELECT DISTINCT group_name FROM counters WHERE book = (SELECT id FROM books WHERE name = ?) ORDER BY group_name";
    return this.#database.all(sql, book).map((row) => row["group_name"] as string);
  }

  async books(): Promise<readonly string[]> {
    return this.#database.all("SELECT name FROM books ORDER BY name").map(({ name }) => name as string);
  }

  #page(book: string, keys: readonly string[]): Page {
    const row = this.#book(book);
    if (!row) return { book, head: EMPTY, values: new Map() };
    const values = new Map<string, string>();
    for (const key of keys) {
      const value = this.#database.get("SELECT value FROM book_values WHERE book = ? AND key = ?", row.id, key)?.["value"];
      if (value !== undefined) values.set(key, value as string);
    }
    return { book, head: { position: row.position, hash: row.hash }, values };
  }

  #commit(change: BookChange): Committed {
    const row = this.#book(change.book);
    if ((row?.position ?? 0) !== change.basedOn) return CONFLICT;
    const head = { position: change.basedOn + change.lines.length, hash: change.lines.at(-1)!.hash };
    const id = this.#setHead(change.book, head);
    this.#append(id, change.basedOn, change.lines);
    const put = "INSERT INTO book_values VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET value = excluded.value";
    for (const [key, value] of change.values) this.#database.run(put, id, key, value);
    for (const counter of change.counters) this.#count(change.book, id, counter);
    return { kind: "committed", head };
  }

  #setHead(book: string, head: Head): number {
    const sql =
      "INSERT INTO books (name, position, hash) VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET position = excluded.position, hash = excluded.hash";
    this.#database.run(sql, book, head.position, head.hash);
    const row = this.#book(book);
    assert(row, "a book that was just written is not there");
    return row.id;
  }

  #append(id: number, after: number, lines: readonly Line[]): void {
    for (const [index, { text, hash }] of lines.entries()) {
      this.#database.run("INSERT INTO lines VALUES (?, ?, ?, ?)", id, after + 1 + index, text, hash);
    }
  }

  #count(book: string, id: number, { group, name, amount }: CounterChange): void {
    if (this.#database.run(COUNT, id, group, name, amount) === 0) throw counterFull(book, group, name);
  }

  #book(name: string): BookRow | undefined {
    const row = this.#database.get("SELECT id, position, hash FROM books WHERE name = ?", name);
    return row && { id: row["id"] as number, position: row["position"] as number, hash: row["hash"] as string };
  }
}

/** Amounts as text: a number would lose what is beyond 2^53. */
const COUNTERS = "SELECT name, CAST(amount AS TEXT) AS amount FROM counters";

/** A sum that leaves 64 bits is no integer to SQLite: then no row is changed. */
const COUNT = `
  INSERT INTO counters VALUES (?, ?, ?, ?)
  ON CONFLICT DO UPDATE SET amount = amount + excluded.amount WHERE typeof(amount + excluded.amount) = 'integer'`;

/** What one counter says; 0 when there is none. */
export function counterOf(database: Database, book: string, group: string, name: string): bigint {
  checkNames({ book, group, name });
  const sql = `${COUNTERS} WHERE book = (SELECT id FROM books WHERE name = ?) AND group_name = ? AND counters.name = ?`;
  return BigInt((database.get(sql, book, group, name)?.["amount"] as string | undefined) ?? 0);
}
