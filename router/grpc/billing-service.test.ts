import { describe, expect, test } from "vitest";
import { asKeyId, asProjectId, type Fault, type Snapshot, systemClock } from "#kernel";
import { claimToMessage, ExportFormat, type GetUsageRequest, Outcome, UsageDimension } from "#proto";
import { ACME, fill, RIVAL } from "../billing/testing/exported.ts";
import { claimOf, NOON, openBooks } from "../billing/testing/open-books.ts";
import { startCatalog } from "../catalog/index.ts";
import type { Principal } from "../contract.ts";
import { createTenant } from "../keys/index.ts";
import { startNodeHours } from "../ledger/index.ts";
import { nodeView, snapshotOf } from "../testing/cluster-of.ts";
import { billingHandlers } from "./billing-service.ts";

const LOG = { info: () => undefined, warn: () => undefined, error: () => undefined };
const OPERATOR: Principal = { keyId: asKeyId("op"), tenantId: undefined, projectId: undefined, scopes: new Set(["admin"]) };
const TENANT: Principal = { keyId: asKeyId("k1"), tenantId: ACME, projectId: asProjectId("default"), scopes: new Set(["infer"]) };
const MONTH = { sinceMs: Date.UTC(2026, 10, 1), untilMs: Date.UTC(2026, 11, 1) };

/** The handlers over real books with two tenants; each call comes with a principal. */
async function setUp() {
  const stack = new AsyncDisposableStack();
  const books = stack.use(await openBooks());
  const catalog = stack.use(await startCatalog({ records: books.store.records, clock: systemClock, log: LOG }));
  for (const id of [ACME, RIVAL]) await createTenant(catalog, books.clock, id);
  const { ledger, prices, clock, store } = books;
  const handlers = billingHandlers({ ledger, prices, clock, catalog, journal: store.journal });
  const as = (principal: Principal, signal = new AbortController().signal) => ({
    ...{ path: "", credential: undefined, peer: "", principal, signal },
  });
  return { books, handlers, as, [Symbol.asyncDispose]: () => stack.disposeAsync() };
}

const USAGE: GetUsageRequest = { by: [], sinceMs: 0, untilMs: 0, tenantId: "" };

describe("usage", () => {
  test("is told by every dimension, with exact dollars", async () => {
    await using service = await setUp();
    await fill(service.books);
    const by = [
      UsageDimension.USAGE_DIMENSION_TENANT,
      UsageDimension.USAGE_DIMENSION_PROJECT,
      UsageDimension.USAGE_DIMENSION_KEY,
      UsageDimension.USAGE_DIMENSION_MODEL,
      UsageDimension.USAGE_DIMENSION_BASE,
      UsageDimension.USAGE_DIMENSION_PRICE_VERSION,
      UsageDimension.USAGE_DIMENSION_DAY,
    ];
    const { rows } = await service.handlers.getUsage({ ...USAGE, by }, service.as(OPERATOR));
    expect(rows).toContainEqual({
      ...{ tenantId: "acme", projectId: "shop", keyId: "00000000000000aa", model: "acme/bot", base: "demo-base", priceVersion: 2 },
      ...{
        day: "2026-11-22",
        startMs: Date.UTC(2026, 10, 22),
        requests: 1,
        promptTokens: 10,
        cachedTokens: 0,
        completionTokens: 0,
        trainedTokens: 0,
      },
      amountUsd: "0.000003",
    });
    expect(rows).toHaveLength(6);
    const hours = await service.handlers.getUsage({ ...USAGE, by: [UsageDimension.USAGE_DIMENSION_HOUR] }, service.as(TENANT));
    expect(hours.rows.map(({ day, startMs, requests }) => [day, startMs, requests])).toEqual([
      ["", NOON - 86_400_000, 1],
      ["", NOON - 82_800_000, 1],
      ["", NOON, 2],
      ["", NOON + 86_400_000, 1],
    ]);
  });

  test("of all is the operator's; a tenant has its own, and another's is as unknown as nobody's", async () => {
    await using service = await setUp();
    await fill(service.books);
    const requests = async (principal: Principal, tenantId: string) =>
      (await service.handlers.getUsage({ ...USAGE, tenantId }, service.as(principal))).rows.map((row) => row.requests);
    expect([await requests(OPERATOR, ""), await requests(OPERATOR, "rival")]).toEqual([[6], [1]]);
    expect([await requests(TENANT, ""), await requests(TENANT, "acme")]).toEqual([[5], [5]]);
    const refusal = async (id: string) => {
      const error = (await requests(TENANT, id).catch((fault: unknown) => fault)) as Fault;
      return [error.reason, error.message.replaceAll(id, "…")];
    };
    expect(await refusal("rival")).toEqual(await refusal("nobody"));
    await expect(requests(OPERATOR, "nobody")).rejects.toMatchObject({ reason: "resource_unknown" });
  });

  test.each([
    [[UsageDimension.USAGE_DIMENSION_UNSPECIFIED], "by[0]"],
    [[UsageDimension.USAGE_DIMENSION_DAY, UsageDimension.USAGE_DIMENSION_HOUR], "by"],
  ])("by %j is refused", async (by, field) => {
    await using service = await setUp();
    await expect(service.handlers.getUsage({ ...USAGE, by }, service.as(TENANT))).rejects.toMatchObject({ detail: { field } });
  });
});

test("an invoice goes out as text that adds up", async () => {
  await using service = await setUp();
  await fill(service.books);
  const { invoice } = await service.handlers.getInvoice({ tenantId: "", month: "2026-11" }, service.as(TENANT));
  expect(invoice).toMatchObject({ tenantId: "acme", month: "2026-11", totalUsd: "-0.000572386", preliminary: true });
  expect(invoice!.lines[0]).toEqual({
    ...{
      base: "big-base",
      model: "big-base",
      kind: "cached",
      priceVersion: 3,
      tokens: 7,
      usdPerMillion: "0.225",
      amountUsd: "0.000001575",
    },
  });
  expect(invoice!.corrections[1]).toEqual({
    ...{ id: "c-2", requestId: "", reason: "rounding of the old system", amountUsd: "0.000000005", postedAtMs: NOON + 7_200_000 },
  });
  await expect(service.handlers.getInvoice({ tenantId: "rival", month: "2026-11" }, service.as(TENANT))).rejects.toMatchObject({
    reason: "resource_unknown",
  });
});

describe("an export", () => {
  async function text(service: Awaited<ReturnType<typeof setUp>>, principal: Principal, wish: object = {}) {
    const request = { format: ExportFormat.EXPORT_FORMAT_CSV, sinceMs: 0, untilMs: 0, tenantId: "", ...wish };
    const pieces: Uint8Array[] = [];
    for await (const { piece } of service.handlers.export(request, service.as(principal))) pieces.push(piece);
    return Buffer.concat(pieces).toString();
  }

  test("is a tenant's own, or everybody's for the operator, of the time that was asked for", async () => {
    await using service = await setUp();
    await fill(service.books);
    expect(await text(service, TENANT)).not.toContain("rival");
    expect(await text(service, TENANT, { tenantId: "acme" })).toBe(await text(service, OPERATOR, { tenantId: "acme" }));
    expect(await text(service, OPERATOR)).toMatch(/req_1.*req_6/s);
    const cut = await text(service, OPERATOR, { sinceMs: NOON + 59_999, untilMs: NOON + 60_001 });
    expect(cut.match(/req_\d/g)).toEqual(["req_3", "req_4", "req_6"]);
  });

  test("of another tenant, in no format or backwards in time is refused", async () => {
    await using service = await setUp();
    await expect(text(service, TENANT, { tenantId: "rival" })).rejects.toMatchObject({ reason: "resource_unknown" });
    const format = ExportFormat.EXPORT_FORMAT_UNSPECIFIED;
    await expect(text(service, TENANT, { format })).rejects.toMatchObject({ detail: { field: "format" } });
    await expect(text(service, TENANT, { sinceMs: NOON, untilMs: 1 })).rejects.toMatchObject({ detail: { field: "until_ms" } });
  });

  test("ends when its key loses access", async () => {
    await using service = await setUp();
    await fill(service.books);
    const lost = new AbortController();
    lost.abort(new Error("revoked"));
    const request = { format: ExportFormat.EXPORT_FORMAT_LAGO, sinceMs: 0, untilMs: 0, tenantId: "" };
    const reading = Array.fromAsync(service.handlers.export(request, service.as(OPERATOR, lost.signal)));
    await expect(reading).rejects.toThrow("revoked");
  });
});

test("the journal is told book by book, lines before totals, all of them", async () => {
  await using service = await setUp();
  for (let batch = 0; batch < 3; batch++)
    await service.books.ledger.post(Array.from({ length: 250 }, (_, index) => claimOf(`b${batch}-${index}`)));
  await fill(service.books);
  const parts = await Array.fromAsync(service.handlers.readJournal({ book: "" }, service.as(OPERATOR)));
  const outline = parts.map(({ book, lines, totals }) => `${book} ${totals ? "totals" : lines.length}`);
  expect(outline).toEqual(["acme 500", "acme 500", "acme 500", "acme 12", "acme totals", "rival 2", "rival totals"]);
  expect(parts.flatMap(({ book, lines }) => (book === "acme" ? lines.map(({ position }) => position) : []))).toEqual(
    Array.from({ length: 1512 }, (_, index) => index + 1),
  );
  const { totals } = parts[4]!;
  expect(totals).toMatchObject({ position: 1512, hash: parts[3]!.lines.at(-1)!.hash });
  expect(totals!.counters).toMatchObject({ "corrections c-1": "-1234567" });
  expect(await Array.fromAsync(service.handlers.readJournal({ book: "rival" }, service.as(OPERATOR)))).toHaveLength(2);
});

describe("a correction", () => {
  const CORRECTION = { id: "c-9", tenantId: "acme", requestId: "", amountUsd: "-1.5", reason: "sorry" };

  test("is a new line, once", async () => {
    await using service = await setUp();
    const post = (change: object = {}) => service.handlers.postCorrection({ ...CORRECTION, ...change }, service.as(OPERATOR));
    expect([await post(), await post()]).toEqual([{ position: 1 }, { position: 1 }]);
    await expect(post({ amountUsd: "-1.6" })).rejects.toMatchObject({ reason: "resource_exists" });
    const { invoice } = await service.handlers.getInvoice({ tenantId: "acme", month: "2026-11" }, service.as(OPERATOR));
    expect(invoice).toMatchObject({ totalUsd: "-1.50", position: 1 });
  });

  test.each([
    ["tenant_id", { tenantId: "" }],
    ["id", { id: "" }],
    ["id", { id: "x".repeat(65) }],
    ["amount_usd", { amountUsd: "0" }],
    ["amount_usd", { amountUsd: "1.2345678901" }],
    ["amount_usd", { amountUsd: "much" }],
    ["reason", { reason: "" }],
    ["request_id", { requestId: "never-seen" }],
  ])("with a wrong %s is refused: %j", async (field, change) => {
    await using service = await setUp();
    const refused = service.handlers.postCorrection({ ...CORRECTION, ...change }, service.as(OPERATOR));
    await expect(refused).rejects.toMatchObject({ reason: "parameter_invalid", detail: { field } });
  });

  test("of nobody is refused", async () => {
    await using service = await setUp();
    const refused = service.handlers.postCorrection({ ...CORRECTION, tenantId: "nobody" }, service.as(OPERATOR));
    await expect(refused).rejects.toMatchObject({ reason: "resource_unknown" });
  });
});

test("claims of nodes are posted, and too many at once refused", async () => {
  await using service = await setUp();
  const claim = claimToMessage(claimOf("r1"));
  await service.handlers.submitClaims({ claims: [claim, { ...claim, outcome: Outcome.OUTCOME_FAILED }] }, service.as(OPERATOR));
  expect((await service.handlers.getUsage(USAGE, service.as(OPERATOR))).rows).toMatchObject([{ requests: 1, promptTokens: 10 }]);
  const many = service.handlers.submitClaims({ claims: Array.from({ length: 1001 }, () => claim) }, service.as(OPERATOR));
  await expect(many).rejects.toMatchObject({ detail: { field: "claims" } });
});

test("revenue stands beside the hours of the nodes, and beside what a GPU per model would have cost", async () => {
  await using service = await setUp();
  const { books } = service;
  await nodesStoodReady(books, 2);
  const at = NOON - 86_400_000; // The standard list of that day is version 2: $5 an hour.
  await books.ledger.post([
    claimOf("r1", { at, usage: [600, 0, 0], version: 2 }),
    claimOf("r2", { at: at + 60_000, usage: [100, 0, 0], version: 2, model: "acme/other" }),
    claimOf("r3", { at: at + 3_600_000, usage: [50, 0, 0], version: 2 }),
    claimOf("r4", { at, usage: [250, 0, 0], version: 2, tenant: "rival" }),
  ]);
  const { bases, tenants } = await service.handlers.getRevenueReport(MONTH, service.as(OPERATOR));
  const [base] = bases;
  expect(bases).toMatchObject([{ base: "demo-base", revenueUsd: "0.0003", tokens: 1000 }]);
  expect(base!.gpuHours).toBeGreaterThan(0);
  // Today's price is $7.50 (version 3 since noon); the cost is rounded down to a nano-dollar.
  expect(Number(base!.gpuCostUsd)).toBeCloseTo(base!.gpuHours * 7.5, 8);
  expect(tenants).toMatchObject([
    { tenantId: "acme", base: "demo-base", revenueUsd: "0.000225", tokens: 750, rentedGpuHours: 3, rentedCostUsd: "15.00" },
    { tenantId: "rival", base: "demo-base", revenueUsd: "0.000075", tokens: 250, rentedGpuHours: 1, rentedCostUsd: "5.00" },
  ]);
  expect(tenants[0]!.gpuHours / base!.gpuHours).toBeCloseTo(0.75, 10);
  const none = await service.handlers.getRevenueReport({ sinceMs: 0, untilMs: 60_000 }, service.as(OPERATOR));
  expect(none).toEqual({ bases: [], tenants: [] });
});

/** Lets nodes stand ready with the demo base for some milliseconds of today. */
async function nodesStoodReady({ store, clock }: Awaited<ReturnType<typeof openBooks>>, nodeCount: number): Promise<void> {
  const ready: Snapshot = snapshotOf(Array.from({ length: nodeCount }, (_, index) => nodeView(`node-${index}`)));
  const deps = {
    journal: store.journal,
    leases: store.leases,
    clock,
    random: { float: () => 0 } as never,
    log: LOG,
    snapshot: () => ready,
  };
  const hours = startNodeHours(deps, { holder: "router-1", sampleMs: 10, batchSamples: 1 });
  await systemClock.after(60);
  await hours[Symbol.asyncDispose]();
}
