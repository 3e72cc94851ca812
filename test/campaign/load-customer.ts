import { AdminServiceService, type GrpcChannel, InferenceServiceService } from "#proto";
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

const SAMPLE_WORDS = 100;

/** Gives requests of about so many tokens of which no two begin alike, so that nothing of one is computed for another. */
export async function unlikeAsks(channel: GrpcChannel, promptTokens: number, maxTokens: number): Promise<() => Ask> {
  const { model, prompt } = sizedAsk(SAMPLE_WORDS, maxTokens);
  const { tokens } = await channel.unary(InferenceServiceService.countTokens, {
    model,
    prompt: { kind: { $case: "text", value: prompt } },
  });
  const ask = sizedAsk(Math.round((SAMPLE_WORDS * promptTokens) / tokens), maxTokens);
  let count = 0;
  return () => ({ ...ask, prompt: `${++count} ${ask.prompt}` });
}
