import type { Clock, Millis } from "#kernel";
import type { Lease, Leases } from "../contract.ts";
import { checkDuration, checkNames } from "../limits.ts";
import type { Database } from "./database.ts";

/** Leases in SQLite, by the machine's time of day: they, and their epochs, outlive the process. */
export class EmbeddedLeases implements Leases {
  readonly #database: Database;
  readonly #clock: Clock;

  constructor(database: Database, clock: Clock) {
    this.#database = database;
    this.#clock = clock;
  }

  async acquire(name: string, holder: string, termMs: Millis): Promise<Lease> {
    checkNames({ name, holder });
    checkDuration("termMs", termMs);
    const now = this.#clock.now();
    return this.#database.transaction(() => {
      const row = this.#database.get("SELECT holder, epoch, ends_at FROM leases WHERE name = ?", name);
      const leftMs = row ? (row["ends_at"] as number) - now : 0;
      if (row && leftMs > 0 && row["holder"] !== holder) return { kind: "taken", holder: row["holder"] as string, leftMs } as const;
      const epoch = ((row?.["epoch"] as number | undefined) ?? 0) + (leftMs > 0 ? 0 : 1);
      this.#database.run("INSERT OR REPLACE INTO leases VALUES (?, ?, ?, ?)", name, holder, epoch, now + termMs);
      return { kind: "held", epoch } as const;
    });
  }

  async release(name: string, holder: string): Promise<void> {
    checkNames({ name, holder });
    this.#database.run("UPDATE leases SET ends_at = 0 WHERE name = ? AND holder = ?", name, holder);
  }
}
