import type { Millis } from "#kernel";
import type { RecordChange } from "../contract.ts";
import type { RedisConnection } from "./connection.ts";
import type { RecordKeys } from "./keys.ts";
import { listPages, readRecord } from "./record-pages.ts";

/** How long the wait for a change lasts; after it, the revision is compared, in case somebody emptied the store. */
const BLOCK_MS: Millis = 2_000;
/** A wait without an answer beyond this means that the server is gone without a word. */
const BLOCK_CALL_MS: Millis = 2 * BLOCK_MS;
/** The store's other connection stands already: this one stands soon, or not at all. */
const OPEN_MS: Millis = 1_000;
/** Changes that are read at once. */
const CHANGES_MAX = 256;

/**
 * What one watcher was told, and what it has to be told. It pulls: nothing is read ahead of the watcher, so that a slow
 * one costs nothing and gets the last change of each record. Versions have no gaps, so that a missing change shows; then
 * everything is read again and what is different is told, removals too.
 */
export class RecordFeed {
  readonly #connection: RedisConnection;
  readonly #keys: RecordKeys;
  readonly #prefix: string;
  /** Its own, for while it waits, nothing else runs on it. */
  readonly #waiting: RedisConnection;
  /** Versions of the present records, as far as the watcher knows. */
  readonly #told = new Map<string, number>();
  #listed = false;

  constructor(connection: RedisConnection, keys: RecordKeys, prefix: string) {
    this.#connection = connection;
    this.#keys = keys;
    this.#prefix = prefix;
    this.#waiting = connection.another({ callMs: BLOCK_CALL_MS, openMs: OPEN_MS });
  }

  /** Whether the watcher was told of all present records once. */
  get listed(): boolean {
    return this.#listed;
  }

  /** For ever, until the store is away; called again, it goes on with what is different. @throws Fault store_unreachable */
  async *changes(): AsyncGenerator<RecordChange> {
    await this.#waiting.open();
    let revision = yield* this.#list();
    for (;;) {
      const page = await this.#changesAfter(revision);
      if (page === "gap") revision = yield* this.#list();
      else if (page.revision === revision) await this.#waiting.blockUntilEntry(this.#keys.changes, `${revision}-0`, BLOCK_MS);
      else {
        for (const change of page.changes) if (this.#isNew(change)) yield change;
        revision = page.revision;
      }
    }
  }

  /** Closes the feed's connection: a wait for a change ends. */
  abandon(): void {
    this.#waiting.abandon();
  }

  /** Tells what is present and new, and what is gone. Gives the revision up to which everything is told then. */
  async *#list(): AsyncGenerator<RecordChange, number> {
    const present = new Set<string>();
    let revision: number | undefined;
    for await (const page of listPages(this.#connection, this.#keys, this.#prefix)) {
      revision ??= page.revision; // What changed on earlier pages since is among the changes after it.
      for (const record of page.records) {
        present.add(record.key);
        if (this.#isNew(record)) yield record;
      }
    }
    for (const [key, version] of this.#told) {
      if (present.has(key)) continue;
      this.#told.delete(key);
      yield { key, value: undefined, version: Math.max(version, revision ?? 0) };
    }
    this.#listed = true;
    return revision ?? 0;
  }

  async #changesAfter(revision: number): Promise<"gap" | { readonly revision: number; readonly changes: readonly RecordChange[] }> {
    const { values, revision: revisionKey, changes } = this.#keys;
    const reply = await this.#connection.run("records-changes", [values, revisionKey, changes], [revision, CHANGES_MAX]);
    const [known, ...flat] = reply as string[];
    if (known === "gap") return "gap";
    const read: RecordChange[] = [];
    for (let at = 0; at < flat.length; at += 3) {
      const [version, key, text] = flat.slice(at, at + 3) as [string, string, string];
      if (!key.startsWith(this.#prefix)) continue;
      read.push(text === "" ? { key, value: undefined, version: Number(version) } : readRecord(key, text, this.#keys));
    }
    return { revision: Number(known), changes: read };
  }

  #isNew({ key, value, version }: RecordChange): boolean {
    if (this.#told.get(key) === version) return false;
    if (value === undefined) this.#told.delete(key);
    else this.#told.set(key, version);
    return true;
  }
}
