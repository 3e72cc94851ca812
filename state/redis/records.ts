import { type Clock, Fault, isFault, type Log, type Millis, SECOND } from "#kernel";
import type { Put, RecordChange, Records, Versioned } from "../contract.ts";
import { checkName, encodeRecord } from "../limits.ts";
import type { RedisConnection } from "./connection.ts";
import type { RecordKeys, RedisKeys } from "./keys.ts";
import { RecordFeed } from "./record-feed.ts";
import { listPages, readRecord } from "./record-pages.ts";

/** How many changes are kept for those who watch. Who falls further behind reads everything again. */
const CHANGES_KEPT = 4_096;
const WATCH_AGAIN_MS_MIN: Millis = 100;
const WATCH_AGAIN_MS_MAX: Millis = SECOND;

/** Records in a hash, a sorted set of their keys, and a stream of changes. */
export class RedisRecords implements Records {
  readonly #connection: RedisConnection;
  readonly #keys: RecordKeys;
  readonly #deps: { readonly clock: Clock; readonly log?: Log };
  readonly #feeds = new Set<RecordFeed>();
  #closed = false;

  constructor(connection: RedisConnection, keys: RedisKeys, deps: { readonly clock: Clock; readonly log?: Log }) {
    this.#connection = connection;
    this.#keys = keys.records;
    this.#deps = deps;
  }

  async get(key: string): Promise<Versioned | undefined> {
    checkName("key", key);
    const text = (await this.#connection.command("HGET", this.#keys.values, key)) as string | null;
    return text === null ? undefined : readRecord(key, text, this.#keys);
  }

  async putIf(key: string, value: unknown, version: number | undefined): Promise<Put> {
    const text = encodeRecord(key, value);
    const { values, order, revision, changes } = this.#keys;
    return putOf(await this.#connection.run("records-put", [values, order, revision, changes], [key, version ?? "", text, CHANGES_KEPT]));
  }

  async removeIf(key: string, version: number): Promise<Put> {
    checkName("key", key);
    const { values, order, revision, changes } = this.#keys;
    return putOf(await this.#connection.run("records-remove", [values, order, revision, changes], [key, version, CHANGES_KEPT]));
  }

  async list(prefix: string): Promise<readonly Versioned[]> {
    const records: Versioned[] = [];
    for await (const page of listPages(this.#connection, this.#keys, prefix)) records.push(...page.records);
    return records;
  }

  /** Goes on by itself when the store was away: it then tells what is different from what it told. */
  async *watch(prefix: string, signal: AbortSignal): AsyncGenerator<RecordChange> {
    if (signal.aborted) return;
    const feed = new RecordFeed(this.#connection, this.#keys, prefix);
    this.#feeds.add(feed);
    const abort = () => feed.abandon();
    signal.addEventListener("abort", abort);
    try {
      yield* this.#follow(feed, signal);
    } finally {
      signal.removeEventListener("abort", abort);
      this.#feeds.delete(feed);
      feed.abandon();
    }
  }

  async *#follow(feed: RecordFeed, signal: AbortSignal): AsyncGenerator<RecordChange> {
    let againMs = WATCH_AGAIN_MS_MIN;
    let warned = false;
    while (!signal.aborted) {
      try {
        for await (const change of feed.changes()) {
          if (signal.aborted) return;
          yield change;
          againMs = WATCH_AGAIN_MS_MIN;
          warned = false;
        }
      } catch (error) {
        if (signal.aborted) return;
        if (this.#closed) throw closed(error);
        if (!feed.listed || !isFault(error, "store_unreachable")) throw error;
        if (!warned) this.#deps.log?.warn({ err: error }, "a watch on the records broke; it goes on when the store is back");
        warned = true;
        await this.#deps.clock.after(againMs, signal).catch(() => undefined); // Aborted: the loop ends.
        againMs = Math.min(againMs * 2, WATCH_AGAIN_MS_MAX);
      }
    }
  }

  /** Ends all watches. */
  close(): void {
    this.#closed = true;
    for (const feed of this.#feeds) feed.abandon();
  }
}

function putOf(reply: unknown): Put {
  const [done, version] = reply as [number, string];
  if (done === 1) return { kind: "put", version: Number(version) };
  return { kind: "conflict", version: version === "" ? undefined : Number(version) };
}

function closed(cause: unknown): Fault<"store_unreachable"> {
  return new Fault("store_unreachable", "the store is closed", { cause });
}
