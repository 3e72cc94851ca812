import type { BookChange, Page } from "#state";
import { chained, type Posting } from "./line.ts";

/**
 * One book while it is being written in: what the page says, and everything that changes, which is committed together.
 * Several writers may have their turn with it one after the other; each sees what those before it did.
 */
export class OpenBook {
  readonly #page: Page;
  readonly #lines: ReturnType<typeof chained>[] = [];
  readonly #values = new Map<string, string>();
  readonly #counters = new Map<string, Map<string, bigint>>();
  readonly #releases: string[] = [];
  #hash: string;

  constructor(page: Page) {
    this.#page = page;
    this.#hash = page.head.hash;
  }

  /** The book's name. */
  get name(): string {
    return this.#page.book;
  }

  /** Where the next line will stand. */
  get nextPosition(): number {
    return this.#page.head.position + this.#lines.length + 1;
  }

  /** Of a key that was asked for when the page was read. */
  value(key: string): string | undefined {
    return this.#values.get(key) ?? this.#page.values.get(key);
  }

  setValue(key: string, value: string): void {
    this.#values.set(key, value);
  }

  append(text: string): void {
    const line = chained(this.#hash, text);
    this.#hash = line.hash;
    this.#lines.push(line);
  }

  count(group: string, name: string, amount: bigint): void {
    if (amount === 0n) return;
    const counters = this.#counters.get(group) ?? new Map<string, bigint>();
    this.#counters.set(group, counters.set(name, (counters.get(name) ?? 0n) + amount));
  }

  /** Adds to the accounts what a line says. */
  post(postings: readonly Posting[]): void {
    for (const [account, amount] of postings) this.count(ACCOUNTS, account, amount);
  }

  /** Ends the hold of a request. */
  release(requestId: string): void {
    this.#releases.push(requestId);
  }

  /** Undefined when nothing was written. */
  change(): BookChange | undefined {
    if (this.#lines.length === 0) return undefined;
    const counters = [...this.#counters].flatMap(([group, names]) =>
      [...names].flatMap(([name, amount]) => (amount === 0n ? [] : [{ group, name, amount }])),
    );
    const { book, head } = this.#page;
    return { book, basedOn: head.position, lines: this.#lines, values: this.#values, counters, releases: this.#releases };
  }
}

/** The counters of double entry: their sum is 0 after every commit. */
const ACCOUNTS = "accounts";
