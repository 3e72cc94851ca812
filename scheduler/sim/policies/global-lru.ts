import { MINUTE, type Millis } from "#kernel";
import type { Policy, SimCluster } from "../policy.ts";
import { leastLoaded } from "./node-choice.ts";

/** ModelMesh adds copies above 2,000 requests a minute and copy, looks every ten seconds, and never exceeds a third of the cluster. */
const PER_MINUTE_AND_COPY = 2000;
const ROUND_MS: Millis = 10_000;
const COPIES_SHARE = 1 / 3;
/** When full: instances whose oldest entry is within a tenth of the oldest are as good. */
const AGE_NEAR = 0.1;

export const globalLruPolicy: Policy = {
  name: "global-lru",
  source:
    "KServe ModelMesh (ModelMesh.java): a miss goes to a node with room, else to the one with the oldest entry; least busy of the copies; its placement bug repaired",
  roundMs: ROUND_MS,
  start(cluster, random) {
    const requests = new Map<number, number>();
    const copies = new Map<number, number>();
    return {
      route({ delta }) {
        requests.set(delta, (requests.get(delta) ?? 0) + 1);
        const holders = cluster.holders(delta);
        if (holders.length > 0 && holders.length >= (copies.get(delta) ?? 1)) return leastLoaded(cluster, holders, random);
        const others = cluster.alive.filter((node) => !holders.includes(node));
        return others.length === 0 ? leastLoaded(cluster, holders, random) : placeFor(delta);
      },
      round() {
        copies.clear();
        const most = Math.max(2, Math.floor(cluster.alive.length * COPIES_SHARE));
        for (const [delta, count] of requests) {
          const perMinute = count * (MINUTE / ROUND_MS);
          if (perMinute > PER_MINUTE_AND_COPY) copies.set(delta, Math.min(most, Math.ceil(perMinute / PER_MINUTE_AND_COPY)));
        }
        requests.clear();
      },
    };

    function placeFor(delta: number): number {
      const holders = cluster.holders(delta);
      const nodes = cluster.alive.filter((node) => !holders.includes(node));
      const roomy = nodes.filter((node) => freeBytes(cluster, node) >= cluster.deltas.sizeBytes[delta]!);
      if (roomy.length > 0) return leastLoaded(cluster, roomy, random);
      const ages = nodes.map((node) => cluster.nowMs - oldestMs(cluster, node));
      const oldest = Math.max(...ages);
      return leastLoaded(
        cluster,
        nodes.filter((_, index) => ages[index]! >= (1 - AGE_NEAR) * oldest),
        random,
      );
    }
  },
};

function freeBytes(cluster: SimCluster, node: number): number {
  const { capacityBytes, usedBytes } = cluster.nodes[node]!.loads.slots;
  return capacityBytes - usedBytes;
}

/** With LRU the priority is the time of the last use. */
function oldestMs(cluster: SimCluster, node: number): Millis {
  return cluster.nodes[node]!.loads.slots.lowestPriority ?? cluster.nowMs;
}
