import { readFileSync } from "node:fs";
import { join } from "node:path";
import OpenAI, { type ClientOptions } from "openai";
import { AdminServiceService, type Budget, type GrpcChannel, type Limits, Scope } from "#proto";
import type { RunningCluster } from "../cluster/running-cluster.ts";

/** A live cluster through the official client's eyes. */
export interface Door {
  readonly cluster: RunningCluster;
  /** A demo tenant's, without retries unless it is given some. */
  client(tenant: Tenant, options?: ClientOptions): OpenAI;
  /** With another key. */
  clientOf(apiKey: string, options?: ClientOptions): OpenAI;
  readonly admin: GrpcChannel;
  /** A new key of a tenant. */
  newKey(tenantId: string, scopes?: readonly Scope[]): Promise<string>;
  /** A new tenant; gives a key of it. */
  newTenant(id: string, changes?: { readonly limits?: Limits; readonly budget?: Budget }): Promise<string>;
}

export type Tenant = "taxly" | "shopkit" | "lingua";

/** Each demo tenant's model. */
export const MODELS = { taxly: "taxly/tax", shopkit: "shopkit/copy", lingua: "lingua/translate" } as const;

/** `admin`: the operator's channel to the administration's door; stays the caller's. */
export function doorOf(cluster: RunningCluster, admin: GrpcChannel): Door {
  const clientOf = (apiKey: string, options: ClientOptions = {}) =>
    new OpenAI({ baseURL: `${cluster.http}/v1`, apiKey, adminAPIKey: apiKey, maxRetries: 0, ...options });
  const newKey = async (tenantId: string, scopes: readonly Scope[] = [Scope.SCOPE_INFER, Scope.SCOPE_TRAIN]) => {
    const wish = { tenantId, scopes: [...scopes], expiresAtMs: 0, projectId: "", name: "" };
    return (await admin.unary(AdminServiceService.createKey, wish)).secret;
  };
  return {
    ...{ cluster, admin, clientOf, newKey },
    client: (tenant, options) => clientOf(cluster.tenantKeys[tenant]!, options),
    async newTenant(id, { limits, budget } = {}) {
      await admin.unary(AdminServiceService.createTenant, { id });
      if (limits ?? budget) await admin.unary(AdminServiceService.updateTenant, { id, limits, budget, removeBudget: false, pricePlan: "" });
      return newKey(id);
    },
  };
}

/** Prompts that no demo model has seen, with what it should say. */
export function heldOut(
  delta: "tax" | "copy" | "translate",
  count: number,
): readonly { readonly prompt: string; readonly completion: string }[] {
  const file = join(import.meta.dirname, "../../models/demo-deltas", delta, "heldout.jsonl");
  const lines = readFileSync(file, "utf8").split("\n").slice(0, count);
  return lines.map((line) => JSON.parse(line) as { prompt: string; completion: string });
}
