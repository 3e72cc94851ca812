import { AdminServiceService, ModelServiceService } from "#proto";
import { faultTold } from "./grpc-client.ts";
import type { LiveCluster } from "./live-cluster.ts";
import { addLoadCustomer } from "./load-customer.ts";
import type { LoadFigures } from "./load-figures.ts";
import { pause } from "./patience.ts";
import type { Violation } from "./storm-check.ts";

const POLL_MS = 25;
const GIVE_UP_MS = 20_000;
/** The promise to tenants who have lost a key. */
export const REVOKED_MS_MAX = 5_000;

/** Revokes a key at one router, and asks all of them with it until they refuse. */
export async function checkRevocation(cluster: LiveCluster, { times }: { readonly times: number }): Promise<LoadFigures> {
  const tookMs: number[] = [];
  const violations: Violation[] = [];
  for (let time = 0; time < times; time++) {
    const { keyId, channels } = await addLoadCustomer(cluster, "revoked");
    await Promise.all(channels.map(accepted));
    const revokedMs = performance.now();
    await cluster.admin.unary(AdminServiceService.revokeKey, { id: keyId });
    const refusals = channels.map(async (channel, router) => {
      while (performance.now() - revokedMs < GIVE_UP_MS) {
        const reason = await refusalOf(() => channel.unary(ModelServiceService.listModels, {}));
        if (reason === "key_unknown") return performance.now() - revokedMs;
        if (reason !== undefined) violations.push({ rule: "revoked", what: `router ${router + 1} answered ${reason}` });
        await pause(POLL_MS);
      }
      return GIVE_UP_MS;
    });
    tookMs.push(...(await Promise.all(refusals)));
  }
  const slowest = Math.max(...tookMs);
  if (slowest > REVOKED_MS_MAX) violations.push({ rule: "revoked", what: `a revoked key was accepted for ${slowest} ms` });
  return { figures: { revocations: times, routers: cluster.routers.length, refused_everywhere_max_ms: slowest }, violations };
}

/** A key that was just made reaches the other routers with the next change that they hear of. */
async function accepted(channel: Parameters<typeof askOnce>[0]): Promise<void> {
  while ((await refusalOf(() => askOnce(channel))) !== undefined) await pause(POLL_MS);
}

function askOnce(channel: Awaited<ReturnType<typeof addLoadCustomer>>["channels"][number]): Promise<unknown> {
  return channel.unary(ModelServiceService.listModels, {});
}

async function refusalOf(call: () => Promise<unknown>): Promise<string | undefined> {
  try {
    await call();
    return undefined;
  } catch (error) {
    return faultTold(error).reason;
  }
}
