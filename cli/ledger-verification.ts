import { existsSync } from "node:fs";
import { Fault, formatUsd, systemClock } from "#kernel";
import { AdminServiceService, BillingServiceService } from "#proto";
import {
  type BookPart,
  bookPartsFromMessages,
  isLedgerBook,
  type PriceRecord,
  parsePriceList,
  RECORD_SHAPES,
  readBook,
  type VerifiedBook,
  verifyBooks,
} from "#router";
import { openStore } from "./cluster/store.ts";
import type { Connection } from "./connection.ts";
import { EXIT } from "./exit-code.ts";
import { type OutputFormat, printData, printRows } from "./output.ts";

/** Everything that a recount reads. */
interface Evidence {
  readonly parts: AsyncIterable<BookPart>;
  readonly prices: ReadonlyMap<number, Pick<PriceRecord, "default" | "bases">>;
}

/** Recounts what a router tells of its books. */
export async function verifyRouter(connection: Connection, book: string): Promise<void> {
  await verify(await askedFor(connection, book), connection.output);
}

async function verify({ parts, prices }: Evidence, output: OutputFormat): Promise<void> {
  const books: VerifiedBook[] = [];
  for await (const verified of verifyBooks(parts, prices)) books.push(verified);
  print(books, output);
  if (books.some(({ recount }) => recount.differences.length > 0)) process.exitCode = EXIT.failure;
}

async function askedFor({ channel, adminChannel, signal }: Connection, book: string): Promise<Evidence> {
  const { priceLists } = await adminChannel.unary(AdminServiceService.listPriceLists, {}, { signal });
  const prices = new Map(priceLists.map((list) => [list.version, parsePriceList(list)]));
  return { parts: bookPartsFromMessages(channel.serverStream(BillingServiceService.readJournal, { book }, { signal })), prices };
}

/** Recounts what a store holds, past any router. */
export async function verifyStore(state: string, book: string, output: OutputFormat): Promise<void> {
  const file = /^file:(.+)$/.exec(state)?.[1];
  // Opening would make an empty store, in which everything is exact.
  if (file !== undefined && !existsSync(file)) throw new Fault("file_missing", `there is no store ${file}`, { detail: { file } });
  await using store = await openStore(state);
  const { journal, records } = store;
  const prices = new Map<number, PriceRecord>();
  for (const { key, value } of await records.list("price/")) {
    const price = RECORD_SHAPES.price.safeParse(value);
    if (!price.success) throw new Fault("checksum_mismatch", `the record ${key} is no price list: ${price.error.message}`);
    prices.set(price.data.version, price.data);
  }
  const parts = async function* () {
    for (const name of book === "" ? (await journal.books()).filter(isLedgerBook) : [book])
      yield* readBook({ journal, clock: systemClock }, name);
  };
  await verify({ parts: parts(), prices }, output);
}

function print(books: readonly VerifiedBook[], output: OutputFormat): void {
  const differences = books.flatMap(({ recount }) => recount.differences);
  if (output === "json") {
    const rows = books.map(({ book, recount: { differences: found, nanoUsd, ...counts } }) => ({
      ...{ book, ...counts, amountUsd: formatUsd(nanoUsd), differences: found.length },
    }));
    printData(JSON.stringify({ exact: differences.length === 0, books: rows, differences }, null, 2));
    return;
  }
  printRows(output, books, [
    { title: "book", value: ({ book }) => book },
    { title: "lines", value: ({ recount }) => recount.lines, align: "right" },
    { title: "claims", value: ({ recount }) => recount.claims, align: "right" },
    { title: "requests", value: ({ recount }) => recount.requests, align: "right" },
    { title: "corrections", value: ({ recount }) => recount.corrections, align: "right" },
    { title: "usd", value: ({ recount }) => formatUsd(recount.nanoUsd), align: "right" },
    { title: "differences", value: ({ recount }) => recount.differences.length + recount.omitted, align: "right" },
  ]);
  for (const { book, position, what } of differences) printData(`${book}${position === undefined ? "" : ` line ${position}`}: ${what}`);
  printData(differences.length === 0 ? "exact" : "NOT exact");
}
