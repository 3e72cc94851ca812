import { mixHash } from "../../hash.ts";
import type { SimCluster } from "../policy.ts";

/** Rendezvous order of all nodes that are alive, by delta; computed once per delta and membership. */
export function createHashOrder(cluster: SimCluster): (delta: number) => readonly number[] {
  const orders = new Map<number, readonly number[]>();
  let alive = cluster.alive;
  return (delta) => {
    if (alive !== cluster.alive) {
      orders.clear();
      alive = cluster.alive;
    }
    const known = orders.get(delta);
    if (known) return known;
    const hash = cluster.deltas.hash[delta]!;
    const weights = new Map(alive.map((node) => [node, mixHash(hash ^ mixHash(node + 1))]));
    const order = [...alive].sort((one, other) => weights.get(other)! - weights.get(one)! || one - other);
    orders.set(delta, order);
    return order;
  };
}
