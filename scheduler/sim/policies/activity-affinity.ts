import type { Policy, SimCluster } from "../policy.ts";

/** A scheduling profile as in the project's guides: the scores weigh alike, and ties are broken by chance. */
const SCORE_NEAR = 1e-9;

const SOURCE = "llm-d's scorer for in-flight models beside its queue scorer, equal weights, best of all nodes";

export const activityAffinityPolicy = createPolicy("activity-affinity", `${SOURCE}, as published (its issue 2605)`, published);
export const repairedAffinityPolicy = createPolicy("repaired-affinity", `${SOURCE}, with residency instead of activity`, repaired);

/** As published: 1 with rows of the delta in flight, 0.8 where twice the deltas in flight are fewer than the slots; its third rung is never reached. */
function published(cluster: SimCluster, node: number, delta: number): number {
  const { batch } = cluster.nodes[node]!;
  if (batch.hasDelta(delta)) return 1;
  return 2 * batch.deltaCount < slotsMax(cluster, node) ? 0.8 : 0;
}

/** 1 in a slot, 0.8 where a slot is free, 0.6 on its way. */
function repaired(cluster: SimCluster, node: number, delta: number): number {
  const { loads } = cluster.nodes[node]!;
  const entry = loads.slots.get(delta);
  if (entry) return entry.readyAtMs <= cluster.nowMs ? 1 : 0.6;
  return loads.slots.usedBytes + cluster.deltas.sizeBytes[delta]! <= loads.slots.capacityBytes ? 0.8 : 0;
}

/** Slots are bytes here: how many deltas of the mean size of those that are in fit. */
function slotsMax(cluster: SimCluster, node: number): number {
  const { capacityBytes, usedBytes, entries } = cluster.nodes[node]!.loads.slots;
  return entries.size === 0 ? Number.POSITIVE_INFINITY : (capacityBytes * entries.size) / usedBytes;
}

function createPolicy(name: string, source: string, score: (cluster: SimCluster, node: number, delta: number) => number): Policy {
  return {
    name,
    source,
    start(cluster, random) {
      return {
        route({ delta }) {
          const { alive } = cluster;
          let [least, most] = [Number.POSITIVE_INFINITY, 0];
          for (const node of alive) {
            const rows = waiting(cluster, node);
            [least, most] = [Math.min(least, rows), Math.max(most, rows)];
          }
          let best = -1;
          let chosen = alive[0]!;
          let ties = 0;
          for (const node of alive) {
            const queue = most > least ? (most - waiting(cluster, node)) / (most - least) : 1;
            const total = score(cluster, node, delta) + queue;
            if (total > best + SCORE_NEAR) [best, chosen, ties] = [total, node, 1];
            else if (total > best - SCORE_NEAR && random.below(++ties) === 0) chosen = node;
          }
          return chosen;
        },
      };
    },
  };
}

/** The queue scorer counts requests that wait, not those that run. */
function waiting(cluster: SimCluster, node: number): number {
  const { rowsAhead, batch } = cluster.nodes[node]!;
  return rowsAhead - batch.rows;
}
