import type { Millis } from "#kernel";
import type { Policy } from "../policy.ts";
import { leastLoaded } from "./node-choice.ts";

const ROUND_MS: Millis = 30_000;
const KEPT = 0.5;

/** After LoRAServe (Microsoft Research and UIUC, 2025). */
export const rankClassesPolicy: Policy = {
  name: "rank-classes",
  source:
    "arXiv 2511.22880: deltas in order of rank are laid over the nodes by demand, so that equal ranks meet and every node has its share; a delta that is hotter than a node has several. Peers' memory is not read",
  roundMs: ROUND_MS,
  start(cluster, random) {
    const demand = new Map<number, number>();
    let placed = new Map<number, readonly number[]>();
    return {
      route({ delta, promptTokens }) {
        demand.set(delta, (demand.get(delta) ?? 0) + promptTokens + cluster.deltas.rank[delta]!);
        const nodes = placed.get(delta)?.filter((node) => cluster.nodes[node]!.alive) ?? [];
        return leastLoaded(cluster, nodes.length > 0 ? nodes : cluster.alive, random);
      },
      round() {
        placed = layOut(demand);
        for (const [delta, value] of demand) {
          if (value < 1) demand.delete(delta);
          else demand.set(delta, KEPT * value);
        }
      },
    };

    /** Nodes are equal parts of the line of all demand; a delta is on those that its part of the line touches. */
    function layOut(wanted: ReadonlyMap<number, number>): Map<number, readonly number[]> {
      const { rank } = cluster.deltas;
      const byRank = [...wanted].sort((one, other) => rank[one[0]]! - rank[other[0]]! || one[0] - other[0]);
      const total = byRank.reduce((sum, [, value]) => sum + value, 0);
      const nodes = cluster.alive;
      const places = new Map<number, readonly number[]>();
      let from = 0;
      for (const [delta, value] of byRank) {
        const to = from + value;
        const first = Math.min(nodes.length - 1, Math.floor((from / total) * nodes.length));
        const last = Math.min(nodes.length - 1, Math.floor((to / total) * nodes.length - 1e-9));
        places.set(delta, nodes.slice(first, Math.max(first, last) + 1));
        from = to;
      }
      return places;
    }
  },
};
