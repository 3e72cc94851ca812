import { readFileSync } from "node:fs";
import { cp, mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { openCheckpoint } from "#model";
import { AdminServiceService, BudgetPeriod, CreateKeyRequest, ModelServiceService, PriceList, type Prices, Scope } from "#proto";
import { generatedDeltas } from "../../bench/generated-model.ts";
import { pushParts } from "../../cli/push-delta.ts";
import type { LiveCluster } from "./live-cluster.ts";
import { BASE } from "./live-parts.ts";

/** A tenant with a key and models that nobody else has. */
export interface Customer {
  readonly tenant: string;
  readonly key: string;
  /** Its own deltas by alias, and the base that all share. */
  readonly models: readonly string[];
}

const MODELS = join(import.meta.dirname, "../../models");
/** One for each of the first tenants; they visibly change what the base answers. */
const DEMO_DELTAS = ["tax", "copy", "translate"] as const;
const RANK = 8;
/** Of the generated deltas' alpha: with it no answer is the base's any more. */
const LOUDER = 8;

/**
 * Adds tenants, each with a delta of random weights, the first three with a demo delta as well. Random weights give texts
 * that no other model gives: were a row ever served with another tenant's delta, its text would tell.
 */
export async function addCustomers(cluster: LiveCluster, tenants: readonly string[]): Promise<readonly Customer[]> {
  const { info } = await openCheckpoint(join(MODELS, "demo-base"), { name: BASE });
  const cache = join(cluster.folder, "generated");
  await mkdir(cache, { recursive: true });
  const canaries = await generatedDeltas(cache, info, { rank: RANK, count: tenants.length });
  const customers: Customer[] = [];
  for (const [index, tenant] of tenants.entries()) {
    await cluster.admin.unary(AdminServiceService.createTenant, { id: tenant });
    const { key } = await addKey(cluster, tenant);
    const models = [BASE, await push(cluster, key, tenant, "canary", await louder(canaries[index]!))];
    const demo = DEMO_DELTAS[index];
    if (demo) models.push(await push(cluster, key, tenant, demo, join(MODELS, "demo-deltas", demo)));
    customers.push({ tenant, key, models });
  }
  return customers;
}

async function louder(folder: string): Promise<string> {
  const louderFolder = `${folder}-louder`;
  await cp(folder, louderFolder, { recursive: true });
  const file = join(louderFolder, "adapter_config.json");
  const config = JSON.parse(await readFile(file, "utf8")) as { lora_alpha: number };
  await writeFile(file, JSON.stringify({ ...config, lora_alpha: config.lora_alpha * LOUDER }));
  return louderFolder;
}

export async function addKey(cluster: LiveCluster, tenantId: string): Promise<{ readonly id: string; readonly key: string }> {
  const scopes = [Scope.SCOPE_INFER, Scope.SCOPE_TRAIN];
  const { key, secret } = await cluster.admin.unary(AdminServiceService.createKey, CreateKeyRequest.fromPartial({ tenantId, scopes }));
  return { id: key!.id, key: secret };
}

async function push(cluster: LiveCluster, key: string, tenantId: string, name: string, folder: string): Promise<string> {
  const channel = cluster.channel(cluster.routers[0]!.grpc, key);
  const { alias } = await channel.clientStream(ModelServiceService.pushDelta, pushParts(folder, { base: BASE, name, tenantId }));
  return alias;
}

/** Dollars per million tokens; whole numbers, so that amounts can be checked in one's head. */
const PRICES: Prices = { prompt: "1", cachedPrompt: "1", completion: "2", training: "3" };

/** Prices for everybody, from now on. */
export async function setPrices(cluster: LiveCluster): Promise<void> {
  const priceList = PriceList.fromPartial({ plan: "standard", defaultPrices: PRICES, gpuHourUsd: "1" });
  await cluster.admin.unary(AdminServiceService.addPriceList, { priceList });
}

/** A hard cap, once and for all. */
export async function setBudget(cluster: LiveCluster, id: string, usd: string): Promise<void> {
  const budget = { usd, period: BudgetPeriod.BUDGET_PERIOD_EVER };
  await cluster.admin.unary(AdminServiceService.updateTenant, { id, limits: undefined, budget, removeBudget: false, pricePlan: "" });
}

/** Prompts of all three demo tasks, so that every model also gets some that it was not made for. */
export function heldOutPrompts(countPerTask: number): readonly string[] {
  return DEMO_DELTAS.flatMap((delta) =>
    readFileSync(join(MODELS, "demo-deltas", delta, "heldout.jsonl"), "utf8")
      .split("\n")
      .slice(0, countPerTask)
      .map((line) => `${(JSON.parse(line) as { prompt: string }).prompt}\n`),
  );
}
