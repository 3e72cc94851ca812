import fc from "fast-check";
import { expect, test } from "vitest";
import { asTenantId, DAY, formatUsd } from "#kernel";
import { readInvoice } from "./invoice.ts";
import { monthPeriod } from "./period.ts";
import { claimOf, NOON, openBooks } from "./testing/open-books.ts";

const ACME = asTenantId("acme");
const MONTH = "2026-11";

async function invoice(books: Awaited<ReturnType<typeof openBooks>>, month = MONTH) {
  const deps = { ledger: books.ledger, journal: books.store.journal, prices: books.prices };
  return readInvoice(deps, { tenantId: ACME, month, now: books.clock.now() });
}

test("an invoice has a line for each base, model, price version and kind of token, and they add up", async () => {
  await using books = await openBooks();
  await books.ledger.post([
    claimOf("r1", { usage: [1000, 400, 500] }),
    claimOf("r2", { usage: [1000, 0, 0], version: 3 }),
    claimOf("r3", { usage: [10, 0, 20], base: "big-base", model: "big-base" }),
    claimOf("r4", { tenant: "rival", usage: [1, 0, 1] }),
  ]);
  await books.ledger.correct({ id: "c1", tenantId: ACME, requestId: "r1", amount: -90_000n, reason: "half of r1 was our fault" });
  const { lines, corrections, total, preliminary, head } = await invoice(books);
  expect(lines.map(({ model, kind, priceVersion, tokens, rate, amount }) => [model, kind, priceVersion, tokens, rate, amount])).toEqual([
    ["big-base", "prompt", 1, 10, 1050n, 10_500n],
    ["big-base", "completion", 1, 20, 4201n, 84_020n],
    ["acme/bot", "prompt", 1, 600, 150n, 90_000n],
    ["acme/bot", "cached", 1, 400, 75n, 30_000n],
    ["acme/bot", "completion", 1, 500, 600n, 300_000n],
    ["acme/bot", "prompt", 3, 1000, 450n, 450_000n],
  ]);
  expect(corrections).toMatchObject([{ id: "c1", requestId: "r1", amount: -90_000n }]);
  expect(total).toBe(10_500n + 84_020n + 90_000n + 30_000n + 300_000n + 450_000n - 90_000n);
  expect(formatUsd(total)).toBe("0.00087452");
  expect(preliminary).toBe(true);
  expect(head).toEqual((await books.store.journal.read([{ book: "acme", keys: [] }]))[0]!.head);
});

test("an invoice is final a day after its month, and a correction belongs to the month in which it is posted", async () => {
  await using books = await openBooks();
  await books.ledger.post([claimOf("r1")]);
  const { until } = monthPeriod(MONTH);
  books.setNow(until + DAY - 1);
  expect((await invoice(books)).preliminary).toBe(true);
  books.setNow(until + DAY);
  await books.ledger.correct({ id: "c1", tenantId: ACME, amount: 7n, reason: "late" });
  const november = await invoice(books);
  expect([november.preliminary, november.corrections, november.total]).toEqual([false, [], 6n * 150n + 4n * 75n + 5n * 600n]);
  expect(await invoice(books, "2026-12")).toMatchObject({ lines: [], total: 7n, preliminary: true });
});

test("a month without anything is an invoice over nothing", async () => {
  await using books = await openBooks();
  expect(await invoice(books, "2031-01")).toMatchObject({ lines: [], corrections: [], total: 0n, head: { position: 0, hash: "" } });
});

test.each(["2026-13", "2026-1", "november", ""])('"%s" is no month', async (month) => {
  await using books = await openBooks();
  await expect(invoice(books, month)).rejects.toMatchObject({ reason: "parameter_invalid", detail: { field: "month" } });
});

test("tokens that do not come to what was charged make no invoice", async () => {
  await using books = await openBooks();
  await books.ledger.post([claimOf("r1")]);
  const [list] = [await books.prices(1)];
  const dearer = { ...list!, default: { ...list!.default, prompt: 151 } };
  const deps = { ledger: books.ledger, journal: books.store.journal, prices: async () => dearer };
  await expect(readInvoice(deps, { tenantId: ACME, month: MONTH, now: NOON })).rejects.toMatchObject({ reason: "checksum_mismatch" });
  const lost = { ...deps, prices: async () => undefined };
  await expect(readInvoice(lost, { tenantId: ACME, month: MONTH, now: NOON })).rejects.toMatchObject({ reason: "checksum_mismatch" });
});

test("whatever was used: the total is what the ledger charged for the month's requests, and the month's corrections", async () => {
  const request = fc.record({
    at: fc.integer({ min: Date.UTC(2026, 9, 30), max: Date.UTC(2026, 11, 2) }),
    usage: fc
      .tuple(fc.nat(5000), fc.nat(5000), fc.nat(5000), fc.constantFrom(0, 0, 70_000))
      .map(([prompt, cached, completion, trained]) => [prompt, Math.min(prompt, cached), completion, trained] as const),
    more: fc.nat(300),
    base: fc.constantFrom("demo-base", "big-base"),
    model: fc.constantFrom("acme/bot", "acme/other", "ft:demo-base:acme:bot:0123abcd"),
    version: fc.constantFrom(0, 1, 2, 3),
  });
  const correction = fc.record({
    at: fc.integer({ min: Date.UTC(2026, 9, 30), max: Date.UTC(2026, 11, 2) }),
    amount: fc.bigInt(-(10n ** 12n), 10n ** 12n),
  });
  await fc.assert(
    fc.asyncProperty(fc.array(request, { maxLength: 12 }), fc.array(correction, { maxLength: 4 }), async (requests, corrections) => {
      await using books = await openBooks();
      for (const [index, { at, usage, more, ...rest }] of requests.entries()) {
        const [prompt, cached, completion, trained] = usage;
        const first = claimOf(`r${index}`, { ...rest, at, usage, outcome: "running" });
        await books.ledger.post([first]);
        await books.ledger.post([claimOf(`r${index}`, { ...rest, at, usage: [prompt, cached, completion + more, trained] }), first]);
      }
      for (const [index, { at, amount }] of corrections.entries()) {
        if (amount === 0n) continue;
        books.setNow(at);
        await books.ledger.correct({ id: `c${index}`, tenantId: ACME, amount, reason: "because" });
      }
      const { since, until } = monthPeriod(MONTH);
      let charged = 0n;
      for await (const { amount } of books.ledger.charges(ACME, since, until)) charged += amount;
      for (const { amount } of await books.ledger.corrections(ACME, since, until)) charged += amount;
      const { total, lines, corrections: corrected } = await invoice(books);
      expect(total).toBe(charged);
      expect(total).toBe([...lines, ...corrected].reduce((sum, { amount }) => sum + amount, 0n));
    }),
    { numRuns: 40 },
  );
});
