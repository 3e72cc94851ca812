import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { asDeltaDigest, asTenantId, type Residency, systemClock } from "#kernel";
import {
  AdminServiceService,
  BillingServiceService,
  BudgetPeriod,
  ExportFormat,
  ModelServiceService,
  type PushDeltaRequest,
  Scope,
  UpdateTenantRequest,
  UsageDimension,
} from "#proto";
import { BASE_DIGEST, BASE_NAME, nodeView, snapshotOf } from "../../testing/cluster-of.ts";
import { type RouterUnderTest, runRouter } from "../../testing/running-router.ts";
import { scriptedNode } from "../../testing/scripted-node.ts";

const MONTH = new Date().toISOString().slice(0, 7);

let under: RouterUnderTest;
let keys: Readonly<Record<"acme" | "zeta" | "trainer" | "operator", string>>;
let digest: string;
/** A node whose drain ends when the test says so. */
let endDrain: () => void;
const nodes = { a: scriptedNode(), b: scriptedNode() };

beforeAll(async () => {
  const { promise, resolve } = Promise.withResolvers<void>();
  endDrain = resolve;
  under = await runRouter({ a: nodes.a, b: { ...nodes.b, drain: () => promise } }, { httpListen: "127.0.0.1:0", version: "1.2.3" });
  keys = {
    acme: (await under.tenantKey("acme")).text,
    zeta: (await under.tenantKey("zeta")).text,
    trainer: (await under.tenantKey("acme", [Scope.SCOPE_TRAIN])).text,
    operator: under.adminKey,
  };
  const prices = { prompt: "0.10", cachedPrompt: "0.05", completion: "0.40", training: "2.00" };
  const list = { version: 0, plan: "standard", effectiveFromMs: 0, defaultPrices: prices, bases: {}, gpuHourUsd: "2.5" };
  await under.admin.unary(AdminServiceService.addPriceList, { priceList: list });
  const budget = { usd: "1", period: BudgetPeriod.BUDGET_PERIOD_MONTH };
  await under.admin.unary(AdminServiceService.updateTenant, { ...UpdateTenantRequest.create(), id: "acme", budget });
  digest = await push();
  await complete(keys.acme);
});
afterAll(() => under[Symbol.asyncDispose]());

async function push(): Promise<string> {
  const upload = async function* (): AsyncGenerator<PushDeltaRequest> {
    yield { part: { $case: "header", value: { base: BASE_NAME, name: "tax", tenantId: "" } } };
    yield { part: { $case: "config", value: Buffer.from("{}") } };
    yield { part: { $case: "weights", value: Buffer.from("weights") } };
  };
  const { delta } = await under.channel(keys.acme).clientStream(ModelServiceService.pushDelta, upload());
  return delta!.reference!.digest;
}

async function ask(key: keyof typeof keys, path: string, options: { readonly body?: object; readonly tag?: string } = {}) {
  const { body, tag } = options;
  const headers = {
    authorization: `Bearer ${keys[key]}`,
    ...(body && { "content-type": "application/json" }),
    ...(tag !== undefined && { "if-none-match": tag }),
  };
  const answer = await fetch(`http://127.0.0.1:${under.router.httpPort}${path}`, {
    headers,
    ...(body && { method: "POST", body: JSON.stringify(body) }),
  });
  const text = await answer.text();
  const json = /^application\/json/.test(answer.headers.get("content-type") ?? "") ? JSON.parse(text) : undefined;
  return { status: answer.status, headers: answer.headers, text, json };
}

/** Ten tokens of the delta, on the bill. */
async function complete(key: string): Promise<void> {
  const { httpPort } = under.router;
  const answer = await fetch(`http://127.0.0.1:${httpPort}/v1/completions`, {
    method: "POST",
    headers: { authorization: `Bearer ${key}`, "content-type": "application/json" },
    body: JSON.stringify({ model: "acme/tax", prompt: "hello", max_tokens: 10, seed: 1 }),
  });
  expect(answer.status).toBe(200);
  await answer.text();
  const spent = async () => (await under.admin.unary(AdminServiceService.getTenant, { id: "acme" })).spentUsd;
  for (let tries = 0; (await spent()) === "0.00" && tries < 100; tries++) await systemClock.after(50);
}

describe("the account", () => {
  test("tells a tenant's key who it is", async () => {
    expect((await ask("acme", "/v1/account")).json).toMatchObject({
      ...{ object: "account", operator: false, key: { scopes: ["infer", "train"], project_id: "default" } },
      tenant: { id: "acme", price_plan: "standard", limits: {}, suspended_at_ms: null },
    });
    expect((await ask("operator", "/v1/account")).json).toMatchObject({ operator: true, tenant: null, key: { project_id: null } });
  });

  test("is kept by nobody on the way", async () => {
    expect((await ask("acme", "/v1/account")).headers.get("cache-control")).toBe("private, no-cache");
  });

  test("tells any good key who it is, and its money to those who may read bills", async () => {
    expect((await ask("trainer", "/v1/account")).json).toMatchObject({ key: { scopes: ["train"] } });
    expect((await ask("trainer", "/v1/account/spending")).status).toBe(403);
  });

  test("tells what is spent, held and left, as the administration does", async () => {
    const { spentUsd, heldUsd } = await under.admin.unary(AdminServiceService.getTenant, { id: "acme" });
    const { json } = await ask("acme", "/v1/account/spending");
    expect(json).toMatchObject({ tenant_id: "acme", spent_usd: spentUsd, held_usd: heldUsd, budget_usd: "1.00", period: "month" });
    expect(spentUsd).not.toBe("0.00");
    expect((await ask("zeta", "/v1/account/spending")).json).toMatchObject({ budget_usd: null, left_usd: null });
    expect((await ask("operator", "/v1/account/spending?tenant_id=acme")).json).toEqual(json);
    expect((await ask("operator", "/v1/account/spending")).status).toBe(400);
  });

  test("tells the prices in force, in dollars per million tokens", async () => {
    const { json } = await ask("acme", "/v1/account/prices");
    expect(json).toMatchObject({ plan: "standard", price_list: { version: 1, default_prices: { completion: "0.40" } } });
  });
});

describe("usage and bills", () => {
  test("are the ledger's, by the dimensions that are asked for", async () => {
    const { json } = await ask("acme", "/v1/usage?by=day,model,key");
    const by = [UsageDimension.USAGE_DIMENSION_DAY, UsageDimension.USAGE_DIMENSION_MODEL];
    const { rows } = await under.channel(keys.acme).unary(BillingServiceService.getUsage, { by, sinceMs: 0, untilMs: 0, tenantId: "" });
    expect(json.data).toHaveLength(1);
    expect(json.data[0]).toMatchObject({ model: "acme/tax", requests: 1, amount_usd: rows[0]!.amountUsd, day: rows[0]!.day });
    expect(json.data[0].key_id).toMatch(/^[0-9a-f]{16}$/);
    expect(json.data[0]).not.toHaveProperty("tenant_id");
    expect((await ask("zeta", "/v1/usage")).json.data).toEqual([]);
    expect((await ask("operator", "/v1/usage?by=tenant")).json.data).toMatchObject([{ tenant_id: "acme" }]);
  });

  test("of a month are an invoice, with amounts as exact text", async () => {
    const { invoice } = await under.channel(keys.acme).unary(BillingServiceService.getInvoice, { tenantId: "", month: MONTH });
    const { json } = await ask("acme", `/v1/invoices/${MONTH}`);
    expect(json).toMatchObject({ total_usd: invoice!.totalUsd, hash: invoice!.hash, preliminary: true });
    expect(json.lines.map((line: { amount_usd: unknown }) => line.amount_usd)).toEqual(invoice!.lines.map((line) => line.amountUsd));
  });

  test("are exported as over gRPC, byte for byte, as a file", async () => {
    const [year, month] = MONTH.split("-").map(Number);
    const period = { sinceMs: Date.UTC(year!, month! - 1), untilMs: Date.UTC(year!, month!) };
    const request = { format: ExportFormat.EXPORT_FORMAT_CSV, tenantId: "", ...period };
    const pieces = await Array.fromAsync(under.channel(keys.acme).serverStream(BillingServiceService.export, request));
    const { text, headers } = await ask("acme", `/v1/exports/csv?month=${MONTH}`);
    expect(text).toBe(Buffer.concat(pieces.map(({ piece }) => piece)).toString());
    expect(headers.get("content-disposition")).toMatch(/^attachment; filename="acme-[\d-]+-csv\.csv"$/);
    for (const format of ["focus", "cloudevents", "stripe", "lago"])
      expect((await ask("acme", `/v1/exports/${format}?month=${MONTH}`)).text).toContain("acme");
  });

  test.each([
    ["by.0", "/v1/usage?by=colour"],
    ["by", "/v1/usage?by=day,hour"],
    ["since_ms", "/v1/usage?since_ms=yesterday"],
    ["since_ms", "/v1/usage?since_ms=0"],
    ["since_ms", `/v1/usage?by=hour&since_ms=${Date.now() - 20 * 86_400_000}`],
    ["until_ms", "/v1/usage?since_ms=120000&until_ms=60000"],
    ["month", "/v1/invoices/2026-13"],
    ["month", "/v1/exports/csv?month=November"],
    ["month", `/v1/exports/csv?month=${MONTH}&since_ms=0`],
    ["format", "/v1/exports/constructor"],
  ])("a wrong %s is refused by name: %s", async (param, path) => {
    expect(await ask("acme", path)).toMatchObject({ status: 400, json: { error: { param } } });
  });
});

describe("an operator", () => {
  test("sees all tenants in pages, with what they spend", async () => {
    const first = (await ask("operator", "/v1/admin/tenants?limit=1")).json;
    expect(first).toMatchObject({ total: 2, has_more: true, data: [{ id: "acme", spending: { budget_usd: "1.00" } }] });
    expect((await ask("operator", "/v1/admin/tenants?limit=1&after=acme")).json).toMatchObject({ has_more: false, data: [{ id: "zeta" }] });
    expect((await ask("operator", "/v1/admin/tenants?after=nobody")).status).toBe(400);
  });

  test("sees the price book, and revenue beside GPU hours", async () => {
    expect((await ask("operator", "/v1/admin/prices")).json.data).toMatchObject([{ version: 1, gpu_hour_usd: "2.50" }]);
    const { json } = await ask("operator", "/v1/admin/revenue");
    expect(json.bases).toMatchObject([{ base: BASE_NAME, gpu_hours: 0, gpu_cost_usd: "0.00" }]);
    expect(json.tenants).toMatchObject([{ tenant_id: "acme", rented_gpu_hours: 1, rented_cost_usd: "2.50" }]);
  });
});

/** The delta in a slot of node `a`. */
function show(change: Partial<Residency> = {}): void {
  const residency: Residency = {
    ...{ tier: "slot", state: "ready", tenantId: asTenantId("acme"), baseDigest: BASE_DIGEST, rank: 8, sizeBytes: 4096 },
    ...{ references: 0, pinned: false, ...change },
  };
  const reportedAt = systemClock.monotonic() + 60_000;
  const a = nodeView("a", { deltas: new Map([[asDeltaDigest(digest), residency]]), reportedAt });
  under.cluster.set(snapshotOf([a, nodeView("b", { reportedAt })]));
}

describe("the cluster", () => {
  test("is told node by node, tier by tier, with what is hot", async () => {
    show({ references: 2 });
    const { json } = await ask("operator", "/v1/admin/cluster");
    expect(json).toMatchObject({ version: "1.2.3", nodes_total: 2, nodes: [{ id: "a", state: "ready" }, { id: "b" }] });
    const { slot, ram } = json.nodes[0].tiers;
    expect(slot).toMatchObject({ count: 1, size_bytes: 4096, deltas: [{ digest, tenant_id: "acme", references: 2 }] });
    expect(slot.deltas[0].name).toMatch(/^ft:demo-base:acme:tax:/);
    expect(slot.deltas[0].heat).toBeGreaterThan(0);
    expect(ram).toEqual({ count: 0, size_bytes: 0, pinned: 0, deltas: [] });
  });

  test("costs a header while nothing changes, and is told anew when something does", async () => {
    show({ rank: 9 });
    let [first, again] = [await ask("operator", "/v1/admin/cluster"), undefined as Awaited<ReturnType<typeof ask>> | undefined];
    // Heat cools down by itself: so the same answer comes soon, but not surely the next time.
    for (let tries = 0; again?.status !== 304 && tries < 20; tries++) {
      again = await ask("operator", "/v1/admin/cluster", { tag: first.headers.get("etag")! });
      if (again.status === 200) first = again;
    }
    expect(again).toMatchObject({ status: 304, text: "" });
    show({ rank: 10 });
    expect((await ask("operator", "/v1/admin/cluster", { tag: first.headers.get("etag")! })).status).toBe(200);
  });

  test("lists what a node holds, tier by tier", async () => {
    show();
    expect((await ask("operator", "/v1/admin/nodes/a/deltas?tier=slot")).json).toMatchObject({ total: 1, data: [{ digest }] });
    expect((await ask("operator", "/v1/admin/nodes/a/deltas?tier=disk")).json).toMatchObject({ total: 0, data: [] });
    expect((await ask("operator", "/v1/admin/nodes/c/deltas")).status).toBe(404);
  });

  test("drains a node: at once, or after the answer when its work takes longer", async () => {
    show();
    expect(await ask("operator", "/v1/admin/nodes/a/drain", { body: {} })).toMatchObject({ status: 200, json: { drained: true } });
    expect(await ask("operator", "/v1/admin/nodes/b/drain", { body: {} })).toMatchObject({ status: 202, json: { drained: false } });
    endDrain();
    expect((await ask("operator", "/v1/admin/nodes/b/undrain", { body: {} })).status).toBe(200);
    expect((await ask("operator", "/v1/admin/nodes/c/drain", { body: {} })).status).toBe(404);
  });
});

describe("a delta", () => {
  test("is found by a part of its name or digest", async () => {
    const found = async (words: string) => (await ask("operator", `/v1/admin/deltas?search=${words}`)).json.total as number;
    expect([await found("ACME"), await found(digest.slice(0, 12)), await found("nothing")]).toEqual([1, 1, 0]);
  });

  test("is told with its copies, aliases and where it has been", async () => {
    show({ tier: "ram" });
    await systemClock.after(1_100); // A round of the history.
    show({ tier: "slot" });
    await systemClock.after(1_100);
    const { json } = await ask("operator", `/v1/admin/deltas/${encodeURIComponent("acme/tax")}`);
    expect(json).toMatchObject({ digest, aliases: [{ name: "acme/tax", until_ms: null }], copies: [{ node_id: "a", tier: "slot" }] });
    expect(json.history[0]).toMatchObject({ node_id: "a", from: "ram", to: "slot" });
  });

  test("is pinned and let go by its tenant, and by operators; not by others", async () => {
    expect((await ask("zeta", `/v1/deltas/${digest}/pin`, { body: {} })).status).toBe(404);
    expect((await ask("acme", `/v1/deltas/${digest}/pin`, { body: {} })).json).toMatchObject({ digest, pinned: true });
    expect((await ask("operator", `/v1/deltas/${digest}/unpin`, { body: {} })).json).toMatchObject({ pinned: false });
  });

  test("is evicted from a node that holds it, unless it is pinned there", async () => {
    show();
    expect((await ask("operator", "/v1/admin/nodes/a/evict", { body: { delta: digest } })).status).toBe(200);
    expect(nodes.a.detached.at(-1)).toMatchObject({ delta: { digest }, keepOnDisk: true });
    expect((await ask("operator", "/v1/admin/nodes/b/evict", { body: { delta: digest } })).status).toBe(404);
    expect((await ask("operator", "/v1/admin/nodes/a/evict", { body: {} })).json).toMatchObject({ error: { param: "delta" } });
    show({ pinned: true });
    expect((await ask("operator", "/v1/admin/nodes/a/evict", { body: { delta: digest } })).status).toBe(409);
  });
});
