import type { DatabaseSync } from "node:sqlite";
import { Fault } from "#kernel";

/** One step of the schema. Never edited once released: a change is a new step. */
export interface Migration {
  readonly name: string;
  readonly sql: string;
}

export const MIGRATIONS: readonly Migration[] = [
  {
    name: "records",
    sql: `
      CREATE TABLE records (
        key TEXT PRIMARY KEY,
        value TEXT NOT NULL,
        version INTEGER NOT NULL
      ) STRICT, WITHOUT ROWID;
      -- One row: the last version that any record was given. A record that is removed and made again never repeats one.
      CREATE TABLE revision (version INTEGER NOT NULL) STRICT;
      INSERT INTO revision VALUES (0);`,
  },
  {
    name: "ledger",
    sql: `
      -- Every claim that changed something, as it came.
      CREATE TABLE claims (
        position INTEGER PRIMARY KEY,
        request_id TEXT NOT NULL,
        body TEXT NOT NULL
      ) STRICT;
      CREATE INDEX claims_by_request ON claims (request_id);

      -- What the claims of a request come to.
      CREATE TABLE requests (
        request_id TEXT PRIMARY KEY,
        tenant_id TEXT NOT NULL,
        key_id TEXT,
        model TEXT,
        base_digest TEXT NOT NULL,
        delta_digest TEXT,
        price_version INTEGER NOT NULL,
        admitted_at INTEGER NOT NULL,
        outcome TEXT NOT NULL,
        prompt_tokens INTEGER NOT NULL,
        cached_tokens INTEGER NOT NULL,
        completion_tokens INTEGER NOT NULL
      ) STRICT, WITHOUT ROWID;
      CREATE INDEX requests_by_tenant ON requests (tenant_id, admitted_at);
      CREATE INDEX requests_by_time ON requests (admitted_at);

      -- What each of them added. The sums over a request's postings are its row in requests.
      CREATE TABLE postings (
        position INTEGER PRIMARY KEY,
        request_id TEXT NOT NULL,
        prompt_tokens INTEGER NOT NULL CHECK (prompt_tokens >= 0),
        cached_tokens INTEGER NOT NULL CHECK (cached_tokens >= 0),
        completion_tokens INTEGER NOT NULL CHECK (completion_tokens >= 0)
      ) STRICT;
      CREATE INDEX postings_by_request ON postings (request_id);

      CREATE TRIGGER claims_stay BEFORE UPDATE ON claims BEGIN SELECT RAISE(ABORT, 'claims are append-only'); END;
      CREATE TRIGGER claims_remain BEFORE DELETE ON claims BEGIN SELECT RAISE(ABORT, 'claims are append-only'); END;
      CREATE TRIGGER postings_stay BEFORE UPDATE ON postings BEGIN SELECT RAISE(ABORT, 'postings are append-only'); END;
      CREATE TRIGGER postings_remain BEFORE DELETE ON postings BEGIN SELECT RAISE(ABORT, 'postings are append-only'); END;`,
  },
  {
    name: "books",
    sql: `
      -- The ledger's logic left the store. Nothing was ever released with these tables.
      DROP TABLE claims;
      DROP TABLE requests;
      DROP TABLE postings;

      CREATE TABLE books (
        id INTEGER PRIMARY KEY,
        name TEXT NOT NULL UNIQUE,
        position INTEGER NOT NULL,
        hash TEXT NOT NULL
      ) STRICT;

      CREATE TABLE lines (
        book INTEGER NOT NULL REFERENCES books (id),
        position INTEGER NOT NULL,
        text TEXT NOT NULL,
        hash TEXT NOT NULL,
        PRIMARY KEY (book, position)
      ) STRICT, WITHOUT ROWID;
      CREATE TRIGGER lines_stay BEFORE UPDATE ON lines BEGIN SELECT RAISE(ABORT, 'lines are append-only'); END;
      CREATE TRIGGER lines_remain BEFORE DELETE ON lines BEGIN SELECT RAISE(ABORT, 'lines are append-only'); END;

      CREATE TABLE book_values (
        book INTEGER NOT NULL REFERENCES books (id),
        key TEXT NOT NULL,
        value TEXT NOT NULL,
        PRIMARY KEY (book, key)
      ) STRICT, WITHOUT ROWID;

      CREATE TABLE counters (
        book INTEGER NOT NULL REFERENCES books (id),
        group_name TEXT NOT NULL,
        name TEXT NOT NULL,
        amount INTEGER NOT NULL,
        PRIMARY KEY (book, group_name, name)
      ) STRICT, WITHOUT ROWID;`,
  },
  {
    name: "leases",
    sql: `
      -- Rows stay when a lease ends: the epoch goes on from where it was.
      CREATE TABLE leases (
        name TEXT PRIMARY KEY,
        holder TEXT NOT NULL,
        epoch INTEGER NOT NULL,
        ends_at INTEGER NOT NULL
      ) STRICT, WITHOUT ROWID;`,
  },
  {
    name: "answers",
    sql: `
      CREATE TABLE answers (
        id INTEGER PRIMARY KEY,
        account TEXT NOT NULL,
        key TEXT NOT NULL,
        digest TEXT NOT NULL,
        holder TEXT NOT NULL,
        -- NULL while somebody is at it.
        answer TEXT,
        size_bytes INTEGER NOT NULL,
        ends_at INTEGER NOT NULL,
        UNIQUE (account, key)
      ) STRICT;
      CREATE INDEX answers_by_end ON answers (ends_at);

      -- One row: the sum of their sizes.
      CREATE TABLE answers_size (bytes INTEGER NOT NULL) STRICT;
      INSERT INTO answers_size VALUES (0);
      CREATE TRIGGER answers_come AFTER INSERT ON answers BEGIN UPDATE answers_size SET bytes = bytes + NEW.size_bytes; END;
      CREATE TRIGGER answers_change AFTER UPDATE OF size_bytes ON answers
        BEGIN UPDATE answers_size SET bytes = bytes + NEW.size_bytes - OLD.size_bytes; END;
      CREATE TRIGGER answers_go AFTER DELETE ON answers BEGIN UPDATE answers_size SET bytes = bytes - OLD.size_bytes; END;`,
  },
];

/** Brings a database, new or old, to the last step. Call it in a transaction. */
export function migrate(database: DatabaseSync, migrations: readonly Migration[]): void {
  database.exec("CREATE TABLE IF NOT EXISTS migrations (version INTEGER PRIMARY KEY, name TEXT NOT NULL) STRICT");
  const done = database.prepare("SELECT version, name FROM migrations ORDER BY version").all();
  if (done.length > migrations.length)
    throw new Fault("parameter_unsupported", `the store has schema ${done.length}; this version knows schemas up to ${migrations.length}`);
  const insert = database.prepare("INSERT INTO migrations (version, name) VALUES (?, ?)");
  for (const [index, migration] of migrations.entries()) {
    if (index < done.length) continue;
    database.exec(migration.sql);
    insert.run(index + 1, migration.name);
  }
}
