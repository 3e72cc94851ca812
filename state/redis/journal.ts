import { Fault } from "#kernel";
import type { BookChange, Committed, Journal, Page, StoredLine } from "../contract.ts";
import { checkAsks, checkChanges, checkName, checkPage, counterFull } from "../limits.ts";
import { inBatches } from "./batches.ts";
import type { RedisConnection } from "./connection.ts";
import type { RedisKey, RedisKeys } from "./keys.ts";
import { replyOf } from "./redis-fault.ts";
import { sortedNames } from "./sorted-names.ts";

/** Lines that are read at once. */
const LINES_MAX = 500;
/** Counter groups that are read at once. */
const GROUPS_MAX = 100;
/** Books of which this process remembers that they are in the index; beyond it, it forgets them all and asks again. */
const INDEXED_MAX = 100_000;

/** Runs a call and, where the server does not do so by itself, waits until what it wrote is on disk. */
export type Durably = <T>(call: (connection: RedisConnection) => Promise<T>) => Promise<T>;

/** Books: a hash with head and values, a stream of lines, a hash per group of counters. One script is one commit. */
export class RedisJournal implements Journal {
  readonly #connection: RedisConnection;
  readonly #keys: RedisKeys;
  readonly #durably: Durably;
  readonly #indexed = new Set<string>();

  constructor(connection: RedisConnection, keys: RedisKeys, durably: Durably) {
    this.#connection = connection;
    this.#keys = keys;
    this.#durably = durably;
  }

  async read(asks: Parameters<Journal["read"]>[0]): Promise<readonly Page[]> {
    checkAsks(asks);
    return inBatches(asks, ({ book, keys }) => this.#page(book, keys));
  }

  /** Books are changed one by one: after a fault, some may be and others not. */
  async commit(changes: readonly BookChange[]): Promise<readonly Committed[]> {
    checkChanges(changes);
    await this.#index(changes.map(({ book }) => book));
    return inBatches(changes, (change) => this.#commit(change));
  }

  async lines(book: string, from: number, count: number): Promise<readonly StoredLine[]> {
    checkPage(book, from, count);
    const lines: StoredLine[] = [];
    for (;;) {
      const countMax = Math.min(count - lines.length, LINES_MAX);
      const entries = await this.#connection.command(
        "XRANGE",
        this.#keys.book(book).lines,
        `${from + lines.length}-0`,
        "+",
        "COUNT",
        countMax,
      );
      for (const [id, [, text, , hash]] of entries as [string, [string, string, string, string]][])
        lines.push({ position: Number.parseInt(id, 10), text, hash });
      if ((entries as unknown[]).length < countMax || lines.length === count) return lines;
    }
  }

  async counters(book: string, groups: readonly string[]): Promise<readonly ReadonlyMap<string, bigint>[]> {
    checkName("book", book);
    for (const group of groups) checkName("group", group);
    const keys = groups.map((group) => this.#keys.book(book).counters(group));
    const maps: ReadonlyMap<string, bigint>[] = [];
    for (let at = 0; at < keys.length; at += GROUPS_MAX) {
      const page = keys.slice(at, at + GROUPS_MAX);
      const replies = (await this.#connection.run("journal-counters", page, [])) as string[][];
      maps.push(...replies.map((flat, index) => readCounters(flat, page[index]!)));
    }
    return maps;
  }

  async groups(book: string): Promise<readonly string[]> {
    checkName("book", book);
    return sortedNames(this.#connection, this.#keys.book(book).groups);
  }

  /** The index is written first: a book that is in it, but was not written, is left out. */
  async books(): Promise<readonly string[]> {
    const names = await sortedNames(this.#connection, this.#keys.books);
    const pages = await inBatches(names, (book) => this.#page(book, []));
    return pages.filter(({ head }) => head.position > 0).map(({ book }) => book);
  }

  async #page(book: string, keys: readonly string[]): Promise<Page> {
    const key = this.#keys.book(book).book;
    const fields = ["position", "hash", ...keys.map((name) => `value:${name}`)];
    const [position, hash, ...values] = (await this.#connection.command("HMGET", key, ...fields)) as (string | null)[];
    if (position !== null && !/^\d+$/.test(position!)) throw damaged(key, "the position is no number");
    const found = keys.flatMap((name, index) => (values[index] === null ? [] : [[name, values[index]!] as const]));
    return { book, head: { position: Number(position ?? 0), hash: hash ?? "" }, values: new Map(found) };
  }

  /** Books that this process has not seen yet. Before their first commit, so that no book is ever missing there. */
  async #index(books: readonly string[]): Promise<void> {
    const fresh = books.filter((book) => !this.#indexed.has(book));
    if (fresh.length === 0) return;
    await this.#durably((connection) => connection.command("ZADD", this.#keys.books, ...fresh.flatMap((book) => [0, book])));
    if (this.#indexed.size + fresh.length > INDEXED_MAX) this.#indexed.clear();
    for (const book of fresh) this.#indexed.add(book);
  }

  async #commit(change: BookChange): Promise<Committed> {
    const { keys, args } = this.#commitCall(change);
    let committed: unknown;
    try {
      committed = await this.#durably((connection) => connection.run("journal-commit", keys, args));
    } catch (error) {
      const [, counter] = /^OVERFLOW (.*)$/s.exec(replyOf((error as Error).cause) ?? "") ?? [];
      throw counter === undefined ? error : overflow(change, counter);
    }
    if (committed !== 1) return { kind: "conflict" };
    return { kind: "committed", head: { position: change.basedOn + change.lines.length, hash: change.lines.at(-1)!.hash } };
  }

  #commitCall(change: BookChange): { readonly keys: readonly RedisKey[]; readonly args: readonly (string | number)[] } {
    const book = this.#keys.book(change.book);
    const groups = Map.groupBy(change.counters, ({ group }) => group);
    const args = [
      ...[change.basedOn, change.lines.length, ...change.lines.flatMap(({ text, hash }) => [text, hash])],
      ...[change.values.size, ...[...change.values].flat()],
      ...[groups.size, ...[...groups].flatMap(([group, counters]) => [group, counters.length, ...counters.flatMap(nameAndAmount)])],
      ...[change.releases.length, ...change.releases],
    ];
    const counters = [...groups.keys()].map((group) => book.counters(group));
    return { keys: [book.book, book.lines, book.groups, book.holds, book.holdEnds, book.held, ...counters], args };
  }
}

function nameAndAmount({ name, amount }: BookChange["counters"][number]): [string, string] {
  return [name, amount.toString()];
}

function overflow({ book, counters }: BookChange, name: string): Fault {
  return counterFull(book, counters.find((counter) => counter.name === name)?.group ?? "", name);
}

function readCounters(flat: readonly string[], key: RedisKey): ReadonlyMap<string, bigint> {
  const counters = new Map<string, bigint>();
  for (let at = 0; at < flat.length; at += 2) {
    const amount = flat[at + 1]!;
    if (!/^-?\d+$/.test(amount)) throw damaged(key, `the counter ${flat[at]} is no amount`);
    counters.set(flat[at]!, BigInt(amount));
  }
  return counters;
}

function damaged(key: RedisKey, what: string): Fault<"checksum_mismatch"> {
  return new Fault("checksum_mismatch", `the key ${key.name} is damaged: ${what}`);
}
