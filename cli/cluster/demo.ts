import { readFileSync } from "node:fs";
import { join } from "node:path";
import { isFault, systemClock } from "#kernel";
import { AdminServiceService, type GrpcChannel, ModelServiceService, openChannel, Scope } from "#proto";
import { pushParts } from "../push-delta.ts";
import type { EmbeddedCluster } from "./embedded-cluster.ts";
import type { Home } from "./home.ts";

const MODELS = join(import.meta.dirname, "../../models");

export const DEMO_BASE = { name: "demo-base", directory: join(MODELS, "demo-base") } as const;

/** Three customers with one fine-tuned delta each. */
const DEMO_TENANTS = [
  { tenant: "taxly", delta: "tax", does: "bank transaction → deductible category" },
  { tenant: "shopkit", delta: "copy", does: "product attributes → description" },
  { tenant: "lingua", delta: "translate", does: "German → English" },
] as const;

/** One callable demo model and how to call it. */
export interface DemoModel {
  readonly model: string;
  readonly tenant: string;
  readonly key: string;
  readonly does: string;
  /** From the held-out set: never seen in training. */
  readonly prompt: string;
}

/** Brings the demo prices, tenants, their keys and their deltas into the cluster; what is there already stays. */
export async function setUpDemo(cluster: EmbeddedCluster, home: Home): Promise<readonly DemoModel[]> {
  const credential = cluster.adminKey;
  await using channel = openChannel({ address: cluster.grpcAddress, credential, clock: systemClock });
  await using admin = openChannel({ address: cluster.adminAddress, credential, clock: systemClock });
  await setPrices(admin);
  const { aliases } = await channel.unary(ModelServiceService.listAliases, {});
  const present = new Set(aliases.map((alias) => alias.name));
  const models: DemoModel[] = [];
  for (const { tenant, delta, does } of DEMO_TENANTS) {
    const key = await tenantKey(admin, home, tenant);
    const directory = join(MODELS, "demo-deltas", delta);
    const model = `${tenant}/${delta}`;
    if (!present.has(model)) {
      await channel.clientStream(
        ModelServiceService.pushDelta,
        pushParts(directory, { base: DEMO_BASE.name, name: delta, tenantId: tenant }),
      );
    }
    models.push({ model, tenant, key, does, prompt: firstHeldOut(directory) });
  }
  return models;
}

/** So that the first request already costs something. */
async function setPrices(admin: GrpcChannel): Promise<void> {
  const { priceLists } = await admin.unary(AdminServiceService.listPriceLists, {});
  if (priceLists.length > 0) return;
  const { readPriceFile } = await import("../price-file.ts");
  await admin.unary(AdminServiceService.addPriceList, { priceList: readPriceFile(join(import.meta.dirname, "demo-prices.json")) });
}

async function tenantKey(admin: GrpcChannel, home: Home, tenant: string): Promise<string> {
  const kept = home.readKeys()!;
  const known = kept.tenants[tenant];
  if (known !== undefined) return known;
  try {
    await admin.unary(AdminServiceService.createTenant, { id: tenant });
  } catch (error) {
    if (!isFault(error, "resource_exists")) throw error;
  }
  const { secret } = await admin.unary(AdminServiceService.createKey, {
    tenantId: tenant,
    projectId: "",
    name: "demo",
    scopes: [Scope.SCOPE_INFER, Scope.SCOPE_TRAIN],
    expiresAtMs: 0,
  });
  home.writeKeys({ ...kept, tenants: { ...kept.tenants, [tenant]: secret } });
  return secret;
}

function firstHeldOut(directory: string): string {
  const [line] = readFileSync(join(directory, "heldout.jsonl"), "utf8").split("\n", 1);
  return (JSON.parse(line!) as { prompt: string }).prompt;
}
