import { AdminServiceService, type GrpcChannel } from "#proto";
import type { Ask } from "./ask.ts";
import { addKey } from "./customers.ts";
import type { LiveCluster } from "./live-cluster.ts";
import { BASE } from "./live-parts.ts";

/** A tenant that asks the plain base: what is measured under load is who gets how much, not which text. */
export interface LoadCustomer {
  readonly tenant: string;
  readonly keyId: string;
  readonly key: string;
  /** One channel per router. */
  readonly channels: readonly GrpcChannel[];
}

let count = 0;

/** Adds a tenant of its own for each check, so that none sees another's counters; `name` says whose. */
export async function addLoadCustomer(cluster: LiveCluster, name: string): Promise<LoadCustomer> {
  const tenant = `${name}-${++count}`;
  await cluster.admin.unary(AdminServiceService.createTenant, { id: tenant });
  const { id: keyId, key } = await addKey(cluster, tenant);
  return { tenant, keyId, key, channels: cluster.routers.map((router) => cluster.channel(router.grpc, key)) };
}

/** A request of a known length. */
export function sizedAsk(words: number, maxTokens: number): Ask {
  const prompt = `${Array.from({ length: words }, (_, index) => `word${index}`).join(" ")}\n`;
  return { model: BASE, prompt, maxTokens, temperature: 0, seed: 1, ignoreEos: true };
}
