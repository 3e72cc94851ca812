import type { AddressInfo } from "node:net";
import fastify from "fastify";
import OpenAI, { BadRequestError, PermissionDeniedError } from "openai";
import { describe, expect, test } from "vitest";
import { asKeyId, asProjectId, asTenantId, DAY, Fault, formatUsd, HOUR, systemClock } from "#kernel";
import { ACME, RIVAL } from "../billing/testing/exported.ts";
import { type Books, claimOf, NOON, openBooks } from "../billing/testing/open-books.ts";
import type { Principal } from "../contract.ts";
import { guardRoutes } from "./access.ts";
import { answerRefusals } from "./refusals.ts";
import { addUsageRoutes } from "./usage-routes.ts";

const MIDNIGHT = NOON - 12 * HOUR;
const LOG = { info: () => undefined, warn: () => undefined, error: () => undefined };

const PRINCIPALS: Readonly<Record<string, Principal>> = {
  acme: principal("acme", "infer"),
  rival: principal("rival", "infer"),
  trainer: principal("acme", "train"),
  operator: { keyId: asKeyId("op"), tenantId: undefined, projectId: undefined, scopes: new Set(["admin"]) },
};

function principal(tenant: string, scope: "infer" | "train"): Principal {
  return { keyId: asKeyId("k1"), tenantId: asTenantId(tenant), projectId: asProjectId("default"), scopes: new Set([scope]) };
}

/** The routes alone over real books; gives the openai package's client of a key. */
async function serve(books: Books) {
  const server = fastify({ exposeHeadRoutes: false });
  answerRefusals(server, { clock: systemClock, log: LOG as never });
  guardRoutes(server, async (credential) => {
    const known = PRINCIPALS[credential ?? ""];
    if (!known) throw new Fault("key_unknown", "unknown key");
    return known;
  });
  addUsageRoutes(server, { clock: books.clock, ledger: books.ledger, prices: books.prices });
  await server.listen({ host: "127.0.0.1", port: 0 });
  const baseURL = `http://127.0.0.1:${(server.server.address() as AddressInfo).port}/v1`;
  return {
    client: (key: string) => new OpenAI({ baseURL, apiKey: null as never, adminAPIKey: key, maxRetries: 0 }).admin.organization.usage,
    fetch: (path: string) => fetch(`${baseURL}${path}`, { headers: { authorization: "Bearer acme" } }),
    [Symbol.asyncDispose]: async () => void (await server.close()),
  };
}

async function fill({ ledger, setNow }: Books): Promise<void> {
  await ledger.post([
    claimOf("r1", { at: MIDNIGHT, usage: [10, 4, 1] }),
    claimOf("r2", { at: NOON, usage: [20, 0, 2], key: "00000000000000bb" }),
    claimOf("r3", { at: NOON + 61_000, usage: [30, 0, 3], project: "shop", model: "big-base", base: "big-base", version: 3 }),
    claimOf("r4", { at: NOON + DAY, usage: [40, 40, 4] }),
    claimOf("r5", { at: NOON, usage: [1, 1, 1], tenant: "rival" }),
  ]);
  setNow(NOON + HOUR);
  await ledger.correct({ id: "c1", tenantId: ACME, amount: -500n, reason: "sorry" });
}

const seconds = (at: number) => at / 1000;

describe("usage, through the openai package", () => {
  test("comes in buckets of a day, each with one result, until the present one", async () => {
    await using books = await openBooks();
    await fill(books);
    await using server = await serve(books);
    const page = await server.client("acme").completions({ start_time: seconds(MIDNIGHT - DAY) });
    expect(page).toMatchObject({ object: "page", has_more: false, next_page: null });
    expect(page.data.map(({ start_time, end_time, results }) => [start_time, end_time, results.length])).toEqual([
      [seconds(MIDNIGHT - DAY), seconds(MIDNIGHT), 0],
      [seconds(MIDNIGHT), seconds(MIDNIGHT + DAY), 1],
    ]);
    expect(page.data[1]!.results[0]).toEqual({
      ...{ object: "organization.usage.completions.result", input_tokens: 60, output_tokens: 6, num_model_requests: 3 },
      ...{ input_cached_tokens: 4, input_uncached_tokens: 56, input_cache_write_tokens: 0, input_audio_tokens: 0, output_audio_tokens: 0 },
      ...{ project_id: null, user_id: null, api_key_id: null, model: null, batch: null, service_tier: null, api_source: null },
    });
  });

  test("is grouped and filtered by project, key and model", async () => {
    await using books = await openBooks();
    await fill(books);
    await using server = await serve(books);
    const time = { start_time: seconds(MIDNIGHT), end_time: seconds(MIDNIGHT + DAY) };
    const results = async (query: object) => (await server.client("acme").completions({ ...time, ...query })).data[0]!.results as object[];
    expect(await results({ group_by: ["project_id", "model"] })).toMatchObject([
      { project_id: "default", model: "acme/bot", input_tokens: 30, api_key_id: null },
      { project_id: "shop", model: "big-base", input_tokens: 30 },
    ]);
    expect(await results({ group_by: ["api_key_id"] })).toMatchObject([
      { api_key_id: "00000000000000aa", num_model_requests: 2 },
      { api_key_id: "00000000000000bb", num_model_requests: 1 },
    ]);
    expect(await results({ project_ids: ["shop", "nowhere"] })).toMatchObject([{ input_tokens: 30, project_id: null }]);
    expect(await results({ api_key_ids: ["00000000000000bb"], group_by: ["model"] })).toMatchObject([
      { model: "acme/bot", input_tokens: 20 },
    ]);
    expect(await results({ models: ["acme/bot"] })).toMatchObject([{ input_tokens: 30 }]);
    expect(await results({ models: ["rival/bot"] })).toEqual([]);
    expect(await results({ batch: true })).toEqual([]);
    expect(await results({ user_ids: ["u"] })).toEqual([]);
    expect(await results({ group_by: ["batch", "service_tier", "user_id"] })).toMatchObject([
      { batch: false, service_tier: "default", user_id: null },
    ]);
  });

  test.each([
    ["1m", 60],
    ["1h", 24],
    ["1d", 7],
  ] as const)("in buckets of %s, pages lead from the first to the last without a gap", async (width, limit) => {
    await using books = await openBooks();
    await fill(books);
    await using server = await serve(books);
    const query = {
      start_time: seconds(MIDNIGHT),
      end_time: seconds(NOON + DAY + HOUR),
      bucket_width: width,
      group_by: ["model" as const],
    };
    const buckets = [];
    let requests = 0;
    for (let page: string | null = ""; page !== null; ) {
      const answer = await server.client("acme").completions({ ...query, ...(page && { page }) });
      expect(answer.data.length).toBeLessThanOrEqual(limit);
      expect(answer.has_more).toBe(answer.next_page !== null);
      buckets.push(...answer.data);
      page = answer.next_page;
    }
    expect(buckets[0]!.start_time).toBe(query.start_time);
    expect(buckets.at(-1)!.end_time).toBe(query.end_time);
    for (const [index, bucket] of buckets.entries()) {
      if (index > 0) expect(bucket.start_time).toBe(buckets[index - 1]!.end_time);
      for (const result of bucket.results as { num_model_requests: number }[]) requests += result.num_model_requests;
    }
    expect(requests).toBe(4);
  });

  test("a tenant sees its own, an operator the sum of all", async () => {
    await using books = await openBooks();
    await fill(books);
    await using server = await serve(books);
    const tokens = async (key: string) => {
      const { data } = await server.client(key).completions({ start_time: seconds(MIDNIGHT), end_time: seconds(MIDNIGHT + DAY) });
      return (data[0]!.results as { input_tokens: number }[]).map((result) => result.input_tokens);
    };
    expect([await tokens("acme"), await tokens("rival"), await tokens("operator")]).toEqual([[60], [1], [61]]);
    await expect(tokens("trainer")).rejects.toBeInstanceOf(PermissionDeniedError);
  });

  test.each([
    ["start_time", {}],
    ["start_time", { start_time: "yesterday" }],
    ["start_time", { start_time: seconds(NOON + 9 * DAY) }],
    ["end_time", { start_time: 100_000, end_time: 60_000 }],
    ["bucket_width", { start_time: 0, bucket_width: "1w" }],
    ["bucket_width", { start_time: 0, bucket_width: "constructor" }],
    ["limit", { start_time: 0, limit: 32 }],
    ["limit", { start_time: 0, limit: 0 }],
    ["limit", { start_time: 0, bucket_width: "1h", limit: 169 }],
    ["group_by", { start_time: 0, group_by: ["colour"] }],
    ["page", { start_time: 0, page: "page_x" }],
    ["page", { start_time: 600, page: "page_60" }],
  ])("a wrong %s is refused by name: %j", async (param, query) => {
    await using books = await openBooks();
    await using server = await serve(books);
    const refused = server.client("acme").completions(query as never);
    await expect(refused).rejects.toBeInstanceOf(BadRequestError);
    await expect(refused).rejects.toMatchObject({ param });
  });

  test("lists without brackets are lists too", async () => {
    await using books = await openBooks();
    await fill(books);
    await using server = await serve(books);
    const answer = await server.fetch(`/organization/usage/completions?start_time=${seconds(MIDNIGHT)}&group_by=model&group_by=project_id`);
    expect(((await answer.json()) as { data: { results: object[] }[] }).data[0]!.results).toHaveLength(2);
  });
});

describe("costs, through the openai package", () => {
  test("are dollars by the day, corrections on the day they were posted", async () => {
    await using books = await openBooks();
    await fill(books);
    await using server = await serve(books);
    const { data } = await server.client("acme").costs({ start_time: seconds(MIDNIGHT), end_time: seconds(MIDNIGHT + 2 * DAY) });
    const first = 6n * 150n + 4n * 75n + 1n * 600n + 20n * 150n + 2n * 600n + 30n * 3_150n + 3n * 12_601n - 500n;
    expect(data.map(({ results }) => results)).toEqual([
      [
        {
          ...{
            object: "organization.costs.result",
            amount: { value: Number(formatUsd(first)), currency: "usd" },
            quantity: null,
            quantity_unit: null,
          },
          ...{ project_id: null, user_id: null, api_key_id: null, api_source: null, line_item: null },
        },
      ],
      [expect.objectContaining({ amount: { value: 0.0000054, currency: "usd" } })],
    ]);
  });

  test("are grouped by line item with the tokens of each, and by project and key", async () => {
    await using books = await openBooks();
    await fill(books);
    await using server = await serve(books);
    const time = { start_time: seconds(MIDNIGHT), end_time: seconds(MIDNIGHT + DAY) };
    const results = async (query: object) => (await server.client("acme").costs({ ...time, ...query })).data[0]!.results as object[];
    expect(await results({ group_by: ["line_item"] })).toMatchObject([
      { line_item: "acme/bot, cached_input_tokens", quantity: 4, quantity_unit: "tokens", amount: { value: 3e-7 } },
      { line_item: "acme/bot, input_tokens", quantity: 26 },
      { line_item: "acme/bot, output_tokens", quantity: 3 },
      { line_item: "big-base, input_tokens", quantity: 30, amount: { value: 0.0000945 } },
      { line_item: "big-base, output_tokens", quantity: 3 },
      { line_item: "corrections", quantity: null, quantity_unit: null, amount: { value: -5e-7 } },
    ]);
    expect(await results({ group_by: ["project_id"] })).toMatchObject([
      { project_id: "default" },
      { project_id: "shop" },
      { project_id: null },
    ]);
    expect(await results({ project_ids: ["shop"] })).toMatchObject([{ amount: { value: 0.000132303 } }]);
    expect(await results({ line_items: ["acme/bot, output_tokens"] })).toMatchObject([{ amount: { value: 0.0000018 } }]);
    expect(await results({ api_key_ids: ["00000000000000bb"], group_by: ["api_key_id"] })).toMatchObject([
      { api_key_id: "00000000000000bb" },
    ]);
  });

  test("come by the day only, up to 180 of them", async () => {
    await using books = await openBooks();
    await using server = await serve(books);
    const refused = (query: object) => expect(server.client("acme").costs({ start_time: 0, ...query } as never)).rejects;
    await refused({ bucket_width: "1h" }).toMatchObject({ param: "bucket_width" });
    await refused({ limit: 181 }).toMatchObject({ param: "limit" });
    await refused({ group_by: ["model"] }).toMatchObject({ param: "group_by" });
    const { data, next_page } = await server.client("acme").costs({ start_time: 0, limit: 180 });
    expect([data.length, next_page]).toEqual([180, `page_${180 * 86_400}`]);
  });

  test("of the rival are the rival's", async () => {
    await using books = await openBooks();
    await fill(books);
    await books.ledger.correct({ id: "c1", tenantId: RIVAL, amount: 8n, reason: "theirs" });
    await using server = await serve(books);
    const value = async (key: string) =>
      ((await server.client(key).costs({ start_time: seconds(MIDNIGHT) })).data[0]!.results as { amount: { value: number } }[])[0]!.amount
        .value;
    expect(await value("rival")).toBe(6.83e-7);
    expect(await value("operator")).toBeCloseTo((await value("acme")) + (await value("rival")), 12);
  });
});
