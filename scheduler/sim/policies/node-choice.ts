import type { FastRandom } from "../fast-random.ts";
import type { SimCluster } from "../policy.ts";

/** Of `nodes`, which is not empty, the one with the fewest rows ahead; among equals the first from a place drawn at random. */
export function leastLoaded(cluster: SimCluster, nodes: readonly number[], random: FastRandom): number {
  const from = nodes.length === 1 ? 0 : random.below(nodes.length);
  let best = nodes[from]!;
  let rows = cluster.nodes[best]!.rowsAhead;
  for (let step = 1; step < nodes.length && rows > 0; step++) {
    const node = nodes[(from + step) % nodes.length]!;
    const ahead = cluster.nodes[node]!.rowsAhead;
    if (ahead < rows) [best, rows] = [node, ahead];
  }
  return best;
}

/** Of `nodes`, those below `rows` ahead. */
export function below(cluster: SimCluster, nodes: readonly number[], rows: number): readonly number[] {
  return nodes.filter((node) => cluster.nodes[node]!.rowsAhead < rows);
}
