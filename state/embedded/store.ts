import type { StateStore } from "../contract.ts";
import { Database } from "./database.ts";
import { EmbeddedLedger } from "./ledger.ts";
import { EmbeddedRecords } from "./records.ts";

/**
 * The store of a cluster on one machine: one SQLite file, or ":memory:". One process at a time opens it to write; others may read.
 *
 * @throws Fault store_unreachable when the file can't be opened, parameter_unsupported when a later version of Deltaplane wrote it.
 */
export async function openEmbeddedStore(file: string): Promise<StateStore> {
  const database = new Database(file);
  const records = new EmbeddedRecords(database);
  return {
    records,
    ledger: new EmbeddedLedger(database),
    async [Symbol.asyncDispose]() {
      records.close();
      database[Symbol.dispose]();
    },
  };
}
