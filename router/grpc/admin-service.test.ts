import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { systemClock } from "#kernel";
import { AdminServiceService, BudgetPeriod, CreateKeyRequest, type PriceList, Scope, UpdateTenantRequest } from "#proto";
import { type RouterUnderTest, runRouter } from "../testing/running-router.ts";
import { scriptedNode } from "../testing/scripted-node.ts";

let under: RouterUnderTest;
beforeAll(async () => {
  under = await runRouter({ a: scriptedNode() });
  for (const id of ["acme", "zeta"]) await under.admin.unary(AdminServiceService.createTenant, { id });
});
afterAll(() => under[Symbol.asyncDispose]());

const update = async (change: Partial<UpdateTenantRequest>) =>
  (await under.admin.unary(AdminServiceService.updateTenant, { ...UpdateTenantRequest.create(), id: "acme", ...change })).tenant!;
const show = (id: string) => under.admin.unary(AdminServiceService.getTenant, { id });

describe("a tenant", () => {
  test("begins without limits and budget, on the standard plan, having spent nothing", async () => {
    expect(await show("zeta")).toMatchObject({
      tenant: { id: "zeta", limits: {}, budget: undefined, pricePlan: "standard", suspendedAtMs: 0 },
      ...{ requestsRunning: 0, heldUsd: "0.00", spentUsd: "0.00" },
    });
  });

  test("keeps what a change does not name", async () => {
    const limits = { requestsPerMinute: 600, maxTokens: 1000 };
    const budget = { usd: "12.5", period: BudgetPeriod.BUDGET_PERIOD_EVER };
    await update({ limits });
    expect(await update({ budget })).toMatchObject({ limits, budget: { usd: "12.50", period: budget.period } });
    expect(await update({ removeBudget: true })).toMatchObject({ limits, budget: undefined });
    expect((await update({ limits: {} })).limits).toEqual({});
  });

  test("is suspended and resumed, each as often as one likes", async () => {
    const { tenant } = await under.admin.unary(AdminServiceService.suspendTenant, { id: "zeta" });
    expect(tenant!.suspendedAtMs).toBeGreaterThan(0);
    expect((await under.admin.unary(AdminServiceService.suspendTenant, { id: "zeta" })).tenant).toEqual(tenant);
    for (let turn = 0; turn < 2; turn++)
      expect((await under.admin.unary(AdminServiceService.resumeTenant, { id: "zeta" })).tenant!.suspendedAtMs).toBe(0);
  });

  test.each<[string, Partial<UpdateTenantRequest>]>([
    ["limits.requests_per_minute", { limits: { requestsPerMinute: 0 } }],
    ["limits.output_tokens_per_minute", { limits: { maxTokens: 1, outputTokensPerMinute: 0 } }],
    ["budget.usd", { budget: { usd: "-1", period: BudgetPeriod.BUDGET_PERIOD_EVER } }],
    ["budget.usd", { budget: { usd: "much", period: BudgetPeriod.BUDGET_PERIOD_EVER } }],
    ["budget.usd", { budget: { usd: "10000000", period: BudgetPeriod.BUDGET_PERIOD_EVER } }],
    ["budget.period", { budget: { usd: "1", period: BudgetPeriod.BUDGET_PERIOD_UNSPECIFIED } }],
    ["remove_budget", { budget: { usd: "1", period: BudgetPeriod.BUDGET_PERIOD_EVER }, removeBudget: true }],
    ["price_plan", { pricePlan: "standart" }],
  ])("is not changed when %s is wrong", async (field, change) => {
    const before = await show("acme");
    await expect(update(change)).rejects.toMatchObject({ reason: "parameter_invalid", detail: { field } });
    expect(await show("acme")).toEqual(before);
  });

  test("that does not exist is named in the fault", async () => {
    for (const call of [show("nobody"), under.admin.unary(AdminServiceService.listKeys, { tenantId: "nobody" })])
      await expect(call).rejects.toMatchObject({ reason: "resource_unknown", detail: { resource: "nobody" } });
  });
});

describe("keys", () => {
  test("are listed with project, note and last use, one tenant's or all", async () => {
    await under.admin.unary(AdminServiceService.createProject, { tenantId: "acme", id: "chatbot" });
    const wish = { tenantId: "acme", projectId: "chatbot", name: "web shop", scopes: [Scope.SCOPE_INFER] };
    const { key, secret } = await under.admin.unary(AdminServiceService.createKey, CreateKeyRequest.fromPartial(wish));
    const listed = async () => (await under.admin.unary(AdminServiceService.listKeys, { tenantId: "acme" })).keys;
    expect(await listed()).toEqual([{ ...key, ...wish, lastUsedAtMs: 0 }]);
    await under.router.core.authenticate(secret);
    expect(systemClock.now() - (await listed())[0]!.lastUsedAtMs).toBeLessThan(2 * 60_000);
    const everyone = (await under.admin.unary(AdminServiceService.listKeys, { tenantId: "" })).keys;
    expect(everyone.filter(({ tenantId }) => tenantId === "")).toMatchObject([{ projectId: "", scopes: [Scope.SCOPE_ADMIN] }]);
  });
});

describe("price lists", () => {
  const prices = { prompt: "0.15", cachedPrompt: "0.075", completion: "0.6", training: "3" };
  const list: PriceList = {
    ...{ version: 0, plan: "research", effectiveFromMs: 0, defaultPrices: prices, gpuHourUsd: "2.5" },
    bases: { "demo-base": { ...prices, completion: "1.2" } },
  };
  const add = async (change: Partial<PriceList>) =>
    (await under.admin.unary(AdminServiceService.addPriceList, { priceList: { ...list, ...change } })).priceList!;

  test("get versions, never change, and make their plan known", async () => {
    await expect(update({ pricePlan: "research" })).rejects.toMatchObject({ detail: { field: "price_plan" } });
    const [one, two] = [await add({}), await add({ defaultPrices: { ...prices, prompt: "0.1" } })];
    expect(two.version).toBe(one.version + 1);
    const { priceLists } = await under.admin.unary(AdminServiceService.listPriceLists, {});
    expect(priceLists).toEqual([one, two]);
    expect(one).toMatchObject({ plan: "research", bases: { "demo-base": { completion: "1.20" } }, gpuHourUsd: "2.50" });
    expect((await update({ pricePlan: "research" })).pricePlan).toBe("research");
  });

  test.each<[string, Partial<PriceList>]>([
    ["plan", { plan: "Research!" }],
    ["default_prices", { defaultPrices: undefined }],
    ["default_prices.prompt", { defaultPrices: { ...prices, prompt: "0.0001" } }],
    ["bases.demo-base.training", { bases: { "demo-base": { ...prices, training: "" } } }],
    ["effective_from_ms", { effectiveFromMs: 1 }],
    ["gpu_hour_usd", { gpuHourUsd: "-1" }],
  ])("with a wrong %s are not added", async (field, change) => {
    await expect(add(change)).rejects.toMatchObject({ reason: "parameter_invalid", detail: { field } });
  });

  test("are wanted at all", async () => {
    await expect(under.admin.unary(AdminServiceService.addPriceList, { priceList: undefined })).rejects.toMatchObject({
      detail: { field: "price_list" },
    });
  });
});
