import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { systemClock } from "#kernel";
import { openEmbeddedStore, type StateStore } from "#state";
import { openRedisStore } from "../state/redis/index.ts";
import { startRedisServer } from "../state/redis/testing/redis-server.ts";
import { measureMetering } from "./ledger-metering.ts";
import { type PostingLoad, postClaims } from "./ledger-posting.ts";
import { type BenchOptions, type BenchReport, type BenchRow, createReport } from "./report.ts";
import { median } from "./statistics.ts";

const REQUESTS = 5_000;
const QUICK_REQUESTS = 1_000;
const TURNS = 3;
/** What an outbox sends when little goes on, and the most that it sends. */
const BATCHES = [50, 1_000] as const;
const TENANTS = [1, 1_000] as const;

/** Where books are kept: each opens an empty store on a disk. */
interface Place {
  readonly title: string;
  readonly summaryKey?: string;
  open(): Promise<{ readonly store: StateStore } & AsyncDisposable>;
}

const PLACES: readonly Place[] = [
  { title: "embedded, every commit on disk", summaryKey: "claims_per_s_embedded", open: openEmbedded },
  { title: "Redis, every commit on disk", summaryKey: "claims_per_s_redis", open: () => openRedis("always") },
  { title: "Redis, on disk every second", open: () => openRedis("everysec") },
];

/** The summary's figures are those of many tenants and full batches: what a busy cluster sends. */
const TOLD: PostingLoad = { tenants: 1_000, batch: 1_000 };

/** Claims merged and posted per second, and what metering costs of the tokens that a whole cluster serves. */
export async function benchLedger(options: BenchOptions): Promise<BenchReport> {
  const progress = options.progress ?? (() => undefined);
  const requests = options.quick ? QUICK_REQUESTS : REQUESTS;
  const rows: BenchRow[] = [];
  const summary: Record<string, number> = {};
  for (const place of PLACES) {
    for (const tenants of TENANTS) {
      for (const batch of BATCHES) {
        progress(`${place.title}: ${tenants} tenants, batches of ${batch}`);
        const turns = [];
        for (let turn = 0; turn < (options.quick ? 1 : TURNS); turn++) {
          options.signal?.throwIfAborted();
          await using opened = await place.open();
          turns.push(await postClaims(opened.store.journal, { tenants, batch }, requests));
        }
        const rate = median(turns.map(({ claimsPerSecond }) => claimsPerSecond));
        const cpuUs = median(turns.map((turn) => turn.cpuUsPerClaim));
        rows.push({
          books: place.title,
          tenants,
          batch,
          "claims/s": rate,
          "entries/s": rate * turns[0]!.entriesPerClaim,
          "CPU µs/claim": cpuUs,
        });
        if (place.summaryKey !== undefined && tenants === TOLD.tenants && batch === TOLD.batch) summary[place.summaryKey] = rate;
      }
    }
  }
  const metering = await measureMetering(options);
  rows.push(
    ...metering.rows.map((row) => ({
      books: row.title,
      tenants: 1,
      batch: "",
      "claims/s": "",
      "entries/s": "",
      "CPU µs/claim": "",
      ...row.columns,
    })),
  );
  return createReport("ledger", withAllColumns(rows), { ...summary, ...metering.summary });
}

async function openEmbedded() {
  const directory = await mkdtemp(join(tmpdir(), "deltaplane-bench-ledger-"));
  const store = await openEmbeddedStore(join(directory, "state.db"), { clock: systemClock });
  return {
    store,
    async [Symbol.asyncDispose]() {
      await store[Symbol.asyncDispose]();
      await rm(directory, { recursive: true });
    },
  };
}

async function openRedis(appendfsync: "always" | "everysec") {
  const server = await startRedisServer(["--appendonly", "yes", "--appendfsync", appendfsync]);
  const store = await openRedisStore(server.url, { clock: systemClock });
  return {
    store,
    async [Symbol.asyncDispose]() {
      await store[Symbol.asyncDispose]();
      await server[Symbol.asyncDispose]();
    },
  };
}

/** All rows of a report have the same columns. */
function withAllColumns(rows: readonly BenchRow[]): readonly BenchRow[] {
  const columns = [...new Set(rows.flatMap((row) => Object.keys(row)))];
  return rows.map((row) => Object.fromEntries(columns.map((column) => [column, row[column] ?? ""])));
}
