import type { Policy } from "../policy.ts";
import { below, leastLoaded } from "./node-choice.ts";

export const preferLoadedPolicy: Policy = {
  name: "prefer-loaded",
  source:
    "Ray Serve's multiplexed router: the better of two replicas that have the model and are not overloaded, else of those with the fewest models; LRU per replica",
  start(cluster, random) {
    return {
      route({ delta }) {
        const holders = below(cluster, cluster.holders(delta), cluster.model.rowsMax);
        if (holders.length > 0) {
          const one = holders[random.below(holders.length)]!;
          const other = holders[random.below(holders.length)]!;
          return cluster.nodes[one]!.rowsAhead <= cluster.nodes[other]!.rowsAhead ? one : other;
        }
        const models = (node: number) => cluster.nodes[node]!.loads.slots.entries.size;
        const free = below(cluster, cluster.alive, cluster.model.rowsMax);
        const nodes = free.length > 0 ? free : cluster.alive;
        let fewest = Number.POSITIVE_INFINITY;
        for (const node of nodes) fewest = Math.min(fewest, models(node));
        return leastLoaded(
          cluster,
          nodes.filter((node) => models(node) === fewest),
          random,
        );
      },
    };
  },
};
