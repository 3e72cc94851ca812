import type { Random } from "#kernel";
import type { LiveCluster } from "./live-cluster.ts";
import { pause } from "./patience.ts";

export type Victim = "router" | "node" | "engine" | "redis";

/** One `kill -9`. */
export interface Kill {
  /** Milliseconds since the epoch. */
  readonly at: number;
  readonly victim: Victim;
  /** Of which there may be several: `router-2`, `node-1`. */
  readonly name: string;
}

/** Out of ten. The router and the node hold what is to be billed, so they die most. */
const WEIGHTS: Readonly<Record<Victim, number>> = { router: 3, node: 3, engine: 2, redis: 2 };

export interface KillOptions {
  readonly count: number;
  readonly random: Random;
  /** Between two kills, uniform. */
  readonly pauseMs: { readonly least: number; readonly most: number };
}

/** Kills one process after the other, whatever state the last one is in, while the cluster's keeper starts them again. */
export async function killAtRandom(cluster: LiveCluster, options: KillOptions): Promise<readonly Kill[]> {
  const { count, random, pauseMs } = options;
  const kills: Kill[] = [];
  while (kills.length < count) {
    await pause(pauseMs.least + random.float() * (pauseMs.most - pauseMs.least));
    const kill = killOne(cluster, random);
    if (kill) kills.push(kill);
  }
  return kills;
}

function killOne(cluster: LiveCluster, random: Random): Kill | undefined {
  const victim = drawVictim(cluster, random);
  const at = Date.now();
  if (victim === "redis") return cluster.redis?.kill() ? { at, victim, name: "redis" } : undefined;
  const parts = victim === "router" ? cluster.routers : cluster.nodes;
  const part = parts[random.below(parts.length)]!;
  const { name } = part.process;
  if (victim !== "engine") return part.process.kill() ? { at, victim, name } : undefined;
  const pid = cluster.nodes.find((node) => node.process.name === name)!.enginePid();
  if (pid === undefined) return undefined; // Its agent has just been killed, or is starting it again.
  process.kill(pid, "SIGKILL");
  return { at, victim, name };
}

function drawVictim(cluster: LiveCluster, random: Random): Victim {
  const victims = (Object.keys(WEIGHTS) as Victim[]).filter((victim) => victim !== "redis" || cluster.redis);
  let left = random.float() * victims.reduce((sum, victim) => sum + WEIGHTS[victim], 0);
  return victims.find((victim) => {
    left -= WEIGHTS[victim];
    return left < 0;
  })!;
}
