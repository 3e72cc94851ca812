import { type Bytes, type Clock, MIB, type Millis } from "#kernel";
import type { Answers, Begun } from "../contract.ts";
import { checkAnswer, checkDuration, checkNames } from "../limits.ts";
import type { Database, Row } from "./database.ts";

/** All answers that are kept, and their keys. Beyond this, those that would end first are forgotten early. */
const KEPT_BYTES_MAX: Bytes = 256 * MIB;
/** How many ended ones each beginning removes: more than one, so that they get fewer, and no long pause. */
const PURGE_COUNT_MAX = 100;

/** Answers in SQLite, by the machine's time of day: a router that starts again still knows them. */
export class EmbeddedAnswers implements Answers {
  readonly #database: Database;
  readonly #clock: Clock;
  readonly #keptBytesMax: Bytes;

  constructor(database: Database, clock: Clock, keptBytesMax = KEPT_BYTES_MAX) {
    this.#database = database;
    this.#clock = clock;
    this.#keptBytesMax = keptBytesMax;
  }

  async begin(ask: Parameters<Answers["begin"]>[0]): Promise<Begun> {
    const { account, key, digest, holder, termMs } = ask;
    checkNames({ account, key, digest, holder });
    checkDuration("termMs", termMs);
    const now = this.#clock.now();
    return this.#database.transaction(() => {
      this.#purge(now);
      const row = this.#row(account, key, now);
      if (row && row["digest"] !== digest) return { kind: "other_question" } as const;
      if (row && row["answer"] !== null) return { kind: "done", answer: row["answer"] as string } as const;
      if (row && row["holder"] !== holder) return { kind: "running", leftMs: (row["ends_at"] as number) - now } as const;
      const sizeBytes = Buffer.byteLength(account + key + digest + holder);
      this.#database.run(BEGIN, account, key, digest, holder, sizeBytes, now + termMs);
      return { kind: "begun" } as const;
    });
  }

  async finish(account: string, key: string, holder: string, answer: string, keepMs: Millis): Promise<void> {
    checkNames({ account, key, holder });
    checkAnswer(answer);
    checkDuration("keepMs", keepMs);
    const now = this.#clock.now();
    this.#database.transaction(() => {
      const row = this.#row(account, key, now);
      if (row?.["answer"] !== null || row["holder"] !== holder) return;
      const keep = "UPDATE answers SET answer = ?, size_bytes = size_bytes + ?, ends_at = ? WHERE id = ?";
      this.#database.run(keep, answer, Buffer.byteLength(answer), now + keepMs, row["id"]!);
      this.#makeRoom(row["id"] as number);
    });
  }

  async abandon(account: string, key: string, holder: string): Promise<void> {
    checkNames({ account, key, holder });
    this.#database.run("DELETE FROM answers WHERE account = ? AND key = ? AND holder = ? AND answer IS NULL", account, key, holder);
  }

  /** What is there and has not ended. */
  #row(account: string, key: string, now: Millis): Row | undefined {
    const sql = "SELECT id, digest, holder, answer, ends_at FROM answers WHERE account = ? AND key = ? AND ends_at > ?";
    return this.#database.get(sql, account, key, now);
  }

  #purge(now: Millis): void {
    const ended = "SELECT id FROM answers WHERE ends_at <= ? ORDER BY ends_at LIMIT ?";
    this.#database.run(`DELETE FROM answers WHERE id IN (${ended})`, now, PURGE_COUNT_MAX);
  }

  /** Forgets what is done, first what would end first, until the rest fits. What is being done is never forgotten: requests bound it. */
  #makeRoom(exceptId: number): void {
    const first = "SELECT id FROM answers WHERE answer IS NOT NULL AND id <> ? ORDER BY ends_at LIMIT 1";
    while ((this.#database.get("SELECT bytes FROM answers_size")!["bytes"] as Bytes) > this.#keptBytesMax) {
      if (this.#database.run(`DELETE FROM answers WHERE id IN (${first})`, exceptId) === 0) return;
    }
  }
}

const BEGIN = `
  INSERT INTO answers (account, key, digest, holder, size_bytes, ends_at) VALUES (?, ?, ?, ?, ?, ?)
  ON CONFLICT DO UPDATE SET digest = excluded.digest, holder = excluded.holder, answer = NULL,
    size_bytes = excluded.size_bytes, ends_at = excluded.ends_at`;
