import { DatabaseSync, type SQLInputValue, type SQLOutputValue, type StatementSync } from "node:sqlite";
import { Fault, KIB, MIB } from "#kernel";
import { MIGRATIONS, migrate } from "./schema.ts";

export type Row = Readonly<Record<string, SQLOutputValue>>;

/** One SQLite file and its prepared statements. Calls block the thread for as long as the disk takes: keep transactions small. */
export class Database implements Disposable {
  readonly #database: DatabaseSync;
  readonly #statements = new Map<string, StatementSync>();

  /** @throws Fault store_unreachable when the file is no database of ours, parameter_unsupported when it is of a later version. */
  constructor(file: string) {
    this.#database = attempt(`cannot open the store ${file}`, () => new DatabaseSync(file, { timeout: BUSY_MS_MAX }));
    try {
      this.attempt(() => {
        // Write-ahead, and every commit reaches the disk: what a journal acknowledged survives a power cut.
        this.#database.exec("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON;");
        this.#database.exec(`PRAGMA cache_size = -${CACHE_BYTES_MAX / KIB};`);
        this.transaction(() => migrate(this.#database, MIGRATIONS));
      });
    } catch (error) {
      this.#database.close();
      throw error;
    }
  }

  all(sql: string, ...values: SQLInputValue[]): readonly Row[] {
    return this.attempt(() => this.#prepare(sql).all(...values));
  }

  get(sql: string, ...values: SQLInputValue[]): Row | undefined {
    return this.attempt(() => this.#prepare(sql).get(...values));
  }

  /** How many rows it changed. */
  run(sql: string, ...values: SQLInputValue[]): number {
    return this.attempt(() => Number(this.#prepare(sql).run(...values).changes));
  }

  /** All of `work` or nothing. Durable when it returns. */
  transaction<T>(work: () => T): T {
    this.run("BEGIN IMMEDIATE");
    try {
      const result = work();
      this.run("COMMIT");
      return result;
    } catch (error) {
      if (this.#database.isTransaction) this.#database.exec("ROLLBACK");
      throw error;
    }
  }

  /** @throws Fault store_unreachable */
  checkOpen(): void {
    if (!this.#database.isOpen) throw new Fault("store_unreachable", "the store is closed");
  }

  attempt<T>(work: () => T): T {
    this.checkOpen();
    return attempt("the store does not answer", work);
  }

  [Symbol.dispose](): void {
    if (this.#database.isOpen) this.#database.close();
  }

  #prepare(sql: string): StatementSync {
    const known = this.#statements.get(sql);
    if (known) return known;
    const statement = this.#database.prepare(sql);
    this.#statements.set(sql, statement);
    return statement;
  }
}

/** Pages in memory: a commit reads and writes the present state of requests and sums all over a book. */
const CACHE_BYTES_MAX = 64 * MIB;

/** Another process may hold the file's write lock for a moment. */
const BUSY_MS_MAX = 5_000;

const CONSTRAINT = 19;

/** SQLite's errors as faults; anything else, a violated constraint too, is a defect of ours and goes on as it is. */
function attempt<T>(message: string, work: () => T): T {
  try {
    return work();
  } catch (error) {
    const ofSqlite = error instanceof Error && "code" in error && error.code === "ERR_SQLITE_ERROR" && "errcode" in error;
    if (ofSqlite && (Number(error.errcode) & 0xff) !== CONSTRAINT)
      throw new Fault("store_unreachable", `${message}: ${error.message}`, { cause: error });
    throw error;
  }
}
