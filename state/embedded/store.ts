import type { Clock } from "#kernel";
import type { StateStore } from "../contract.ts";
import { EmbeddedAnswers } from "./answers.ts";
import { Database } from "./database.ts";
import { EmbeddedJournal } from "./journal.ts";
import { EmbeddedLeases } from "./leases.ts";
import { EmbeddedMeters } from "./meters.ts";
import { EmbeddedRecords } from "./records.ts";

/** Everything is gone when the process ends. */
const MEMORY = ":memory:";

/**
 * The store of a cluster on one machine: one SQLite file, or ":memory:". One process at a time opens it to write; others
 * may read. Meters live in that process's memory.
 *
 * @throws Fault store_unreachable when the file can't be opened, parameter_unsupported when a later version of Deltaplane wrote it.
 */
export async function openEmbeddedStore(file: string, { clock }: { readonly clock: Clock }): Promise<StateStore> {
  const database = new Database(file);
  const records = new EmbeddedRecords(database);
  const meters = new EmbeddedMeters(database, clock);
  return {
    records,
    journal: new EmbeddedJournal(database, meters),
    meters,
    leases: new EmbeddedLeases(database, clock),
    answers: new EmbeddedAnswers(database, clock),
    weaknesses: file === MEMORY ? ["The store is in memory: nothing of it outlives the process that opened it."] : [],
    async [Symbol.asyncDispose]() {
      records.close();
      database[Symbol.dispose]();
    },
  };
}
