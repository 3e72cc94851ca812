import type { Millis } from "#kernel";
import type { Policy } from "../policy.ts";

const ROUND_MS: Millis = 10_000;
/** Where the busiest node has so many times the mean, deltas move. */
const IMBALANCE = 1.2;
const MOVES_MAX = 16;

export const migrationPolicy: Policy = {
  name: "migration",
  source:
    "dLoRA (Wu et al., OSDI 2024), its greedy solver: each delta on one node, spread evenly; every ten seconds deltas move from the busiest to the idlest nodes. Running requests are not moved, weights are never merged",
  roundMs: ROUND_MS,
  start(cluster) {
    const placed = new Map<number, number>();
    const tokens = new Map<number, number>();
    let next = 0;
    const place = (delta: number) => {
      const node = cluster.alive[next++ % cluster.alive.length]!;
      placed.set(delta, node);
      return node;
    };
    return {
      route({ delta, promptTokens }) {
        tokens.set(delta, (tokens.get(delta) ?? 0) + promptTokens);
        const node = placed.get(delta);
        return node === undefined || !cluster.nodes[node]!.alive ? place(delta) : node;
      },
      round() {
        const load = new Map<number, number>(cluster.alive.map((node) => [node, 0]));
        for (const [delta, count] of tokens) {
          const node = placed.get(delta)!;
          if (load.has(node)) load.set(node, load.get(node)! + count);
        }
        const mean = [...load.values()].reduce((sum, value) => sum + value, 0) / load.size;
        const byDemand = [...tokens].sort((one, other) => other[1] - one[1]);
        for (let moves = 0; moves < MOVES_MAX; moves++) {
          const nodes = [...load].sort((one, other) => other[1] - one[1]);
          const [[busiest, most], [idlest, least]] = [nodes[0]!, nodes.at(-1)!];
          if (most < IMBALANCE * mean) break;
          const moved = byDemand.find(([delta, count]) => placed.get(delta) === busiest && least + count < most);
          if (!moved) break;
          placed.set(moved[0], idlest);
          load.set(busiest, most - moved[1]).set(idlest, least + moved[1]);
        }
        tokens.clear();
      },
    };
  },
};
