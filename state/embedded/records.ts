import { Fault } from "#kernel";
import type { Put, RecordChange, Records, Versioned } from "../contract.ts";
import { encodeRecord } from "../limits.ts";
import type { Database, Row } from "./database.ts";
import { RecordWatch } from "./record-watch.ts";

/** Sorts after every character that a key can hold. */
const LAST_CHARACTER = "\u{10ffff}";

/** Records in SQLite. Watches are served from this process: a file has one process at a time that writes to it. */
export class EmbeddedRecords implements Records {
  readonly #database: Database;
  readonly #watches = new Set<RecordWatch>();

  constructor(database: Database) {
    this.#database = database;
  }

  async get(key: string): Promise<Versioned | undefined> {
    const row = this.#row(key);
    return row && versioned(row);
  }

  async putIf(key: string, value: unknown, version: number | undefined): Promise<Put> {
    const text = encodeRecord(key, value);
    return this.#change(key, version, (next) => {
      const upsert =
        "INSERT INTO records (key, value, version) VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET value = excluded.value, version = excluded.version";
      this.#database.run(upsert, key, text, next);
      return { key, value: JSON.parse(text), version: next };
    });
  }

  async removeIf(key: string, version: number): Promise<Put> {
    return this.#change(key, version, (next) => {
      this.#database.run("DELETE FROM records WHERE key = ?", key);
      return { key, value: undefined, version: next };
    });
  }

  async list(prefix: string): Promise<readonly Versioned[]> {
    return this.#list(prefix);
  }

  async *watch(prefix: string, signal: AbortSignal): AsyncGenerator<RecordChange> {
    if (signal.aborted) return;
    const watch = new RecordWatch(prefix, this.#list(prefix));
    this.#watches.add(watch);
    try {
      yield* watch.changes(signal);
    } finally {
      this.#watches.delete(watch);
    }
  }

  /** Ends all watches. */
  close(): void {
    for (const watch of this.#watches) watch.fail(new Fault("store_unreachable", "the store is closed"));
  }

  #change(key: string, version: number | undefined, write: (next: number) => RecordChange): Put {
    const outcome = this.#database.transaction(() => {
      const present = this.#row(key)?.["version"] as number | undefined;
      if (present !== version) return { kind: "conflict", version: present } as const;
      this.#database.run("UPDATE revision SET version = version + 1");
      return write(this.#database.get("SELECT version FROM revision")!["version"] as number);
    });
    if ("kind" in outcome) return outcome;
    for (const watch of this.#watches) watch.offer(outcome);
    return { kind: "put", version: outcome.version };
  }

  #row(key: string): Row | undefined {
    return this.#database.get("SELECT key, value, version FROM records WHERE key = ?", key);
  }

  #list(prefix: string): readonly Versioned[] {
    const rows = this.#database.all(
      "SELECT key, value, version FROM records WHERE key >= ? AND key < ? ORDER BY key",
      prefix,
      prefix + LAST_CHARACTER,
    );
    return rows.map(versioned);
  }
}

function versioned(row: Row): Versioned {
  return { key: row["key"] as string, value: JSON.parse(row["value"] as string), version: row["version"] as number };
}
