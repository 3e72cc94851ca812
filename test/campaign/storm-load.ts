import type { GrpcChannel } from "#proto";
import type { Attempt } from "./ask.ts";
import { askOverGrpc } from "./grpc-client.ts";
import { askOverHttp } from "./http-client.ts";
import type { LiveCluster } from "./live-cluster.ts";
import { pause } from "./patience.ts";
import type { Shot } from "./storm-plan.ts";

/** A shot and every call that was made for it; more than one only with an idempotency key. */
export interface ShotRecord {
  readonly shot: Shot;
  readonly attempts: readonly (Attempt & { readonly router: number })[];
}

/** Longer than any part of the cluster is away, and than a dead router's hold on an idempotency key. */
const RETRY_MS_MAX = 90_000;
const RETRY_PAUSE_MS = 300;

/** Who sends shots: one channel per router and key, as clients have. */
export function createShooter(cluster: LiveCluster): (shot: Shot) => Promise<ShotRecord> {
  const channels = new Map<string, GrpcChannel>();
  const channelTo = (router: number, key: string) => {
    const name = `${router} ${key}`;
    const channel = channels.get(name) ?? cluster.channel(cluster.routers[router]!.grpc, key);
    channels.set(name, channel);
    return channel;
  };
  const call = async ({ door, key, ask, leaving }: Shot, router: number) => {
    const attempt =
      door === "grpc"
        ? await askOverGrpc(channelTo(router, key), ask, leaving)
        : await askOverHttp(cluster.routers[router]!.http, key, ask, leaving);
    return { ...attempt, router };
  };
  return async (shot) => {
    const attempts = [await call(shot, shot.router)];
    if (shot.ask.idempotencyKey === undefined) return { shot, attempts };
    const giveUpAt = Date.now() + RETRY_MS_MAX;
    while (attempts.at(-1)!.ending !== "completed" && Date.now() < giveUpAt) {
      await pause(attempts.at(-1)!.fault?.waitMs ?? RETRY_PAUSE_MS);
      attempts.push(await call(shot, (shot.router + attempts.length) % cluster.routers.length));
    }
    return { shot, attempts };
  };
}
