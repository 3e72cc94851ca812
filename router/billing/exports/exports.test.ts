import { describe, expect, test } from "vitest";
import { type NanoUsd, parseUsd } from "#kernel";
import { readInvoice } from "../invoice.ts";
import { ACME, exported, fill, jsonLines } from "../testing/exported.ts";
import { type Books, claimOf, NOON, openBooks } from "../testing/open-books.ts";
import { readCsv } from "../testing/read-csv.ts";
import { EXPORTERS } from "./index.ts";

type Format = keyof typeof EXPORTERS;
const FORMATS = Object.keys(EXPORTERS) as Format[];

/** What a file comes to, read as its sink reads it. */
const TOTALS: Readonly<Record<Format, (text: string) => NanoUsd>> = {
  csv: (text) => sum(readCsv(text).map((row) => parseUsd(row["amount_usd"]!, "amount_usd"))),
  focus: (text) => sum(readCsv(text).map((row) => parseUsd(row["BilledCost"]!, "BilledCost"))),
  cloudevents: (text) =>
    sum((jsonLines(text) as { data: { amount_usd: string } }[]).map(({ data }) => parseUsd(data.amount_usd, "amount_usd"))),
  stripe: (text) =>
    sum(
      (jsonLines(text) as { event_name: string; payload: { value: string } }[])
        .filter(({ event_name }) => event_name === "deltaplane_spend_nano_usd")
        .map(({ payload }) => BigInt(payload.value)),
    ),
  // A cent is ten million nano-dollars; the places below are a dollar's ninth.
  lago: (text) =>
    sum(
      (jsonLines(text) as { events: { precise_total_amount_cents: string }[] }[])
        .flatMap(({ events }) => events)
        .map((event) => parseUsd(event.precise_total_amount_cents, "cents") / 100n),
    ),
};

function sum(amounts: readonly NanoUsd[]): NanoUsd {
  return amounts.reduce((total, amount) => total + amount, 0n);
}

async function invoiceTotal(books: Books): Promise<NanoUsd> {
  const deps = { ledger: books.ledger, journal: books.store.journal, prices: books.prices };
  return (await readInvoice(deps, { tenantId: ACME, month: "2026-11", now: NOON })).total;
}

describe.each(FORMATS)("an export as %s", (format) => {
  test("comes to the invoice of the month, corrections included", async () => {
    await using books = await openBooks();
    await fill(books);
    const month = { since: Date.UTC(2026, 10, 1), until: Date.UTC(2026, 11, 1), tenantIds: [ACME] };
    expect(TOTALS[format]((await exported(books, format, month)).text)).toBe(await invoiceTotal(books));
  });

  test("is the same bytes again when nothing was posted between, whatever the clock says", async () => {
    await using books = await openBooks();
    await fill(books);
    const { text } = await exported(books, format);
    books.setNow(NOON + 86_400_000 * 400);
    await books.ledger.post([claimOf("req_1", { at: NOON - 86_400_000, usage: [1000, 400, 500], version: 1 })]);
    expect((await exported(books, format)).text).toBe(text);
  });

  test("holds no other tenant's and no other time's", async () => {
    await using books = await openBooks();
    await fill(books);
    const { text } = await exported(books, format, { tenantIds: [ACME], since: NOON, until: NOON + 3_600_000 });
    expect(text).not.toMatch(/rival|req_1|req_2|req_5|req_6|2026-11-22T|2026-11-24T12/);
    expect(TOTALS[format](text)).toBe(239_176n);
    const nothing = await exported(books, format, { tenantIds: [ACME], since: 0, until: 60_000 });
    expect(TOTALS[format](nothing.text)).toBe(0n);
  });

  test("comes in pieces, none of them large", async () => {
    await using books = await openBooks();
    for (let batch = 0; batch < 4; batch++) {
      await books.ledger.post(Array.from({ length: 250 }, (_, index) => claimOf(`b${batch}-${index}`, { at: NOON + index * 60_000 })));
    }
    const { pieces } = await exported(books, format, { tenantIds: [ACME] });
    expect(Math.max(...pieces.map(({ length }) => length))).toBeLessThan(64 * 1024);
    expect(pieces.length).toBeGreaterThan(3);
  });
});
