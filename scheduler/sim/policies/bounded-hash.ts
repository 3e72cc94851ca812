import type { Policy } from "../policy.ts";
import { createHashOrder } from "./hash-order.ts";

/** No node takes more than this times the mean; 1.25 is the paper's and HAProxy's usual choice. */
const BOUND = 1.25;

export const boundedHashPolicy: Policy = {
  name: "bounded-hash",
  source: "consistent hashing with bounded loads (Mirrokni, Thorup, Zadimoghaddam 2018); with rendezvous order instead of a ring",
  start(cluster) {
    const orderOf = createHashOrder(cluster);
    return {
      route({ delta }) {
        let rows = 1;
        for (const node of cluster.alive) rows += cluster.nodes[node]!.rowsAhead;
        const most = Math.ceil((BOUND * rows) / cluster.alive.length);
        const order = orderOf(delta);
        return order.find((node) => cluster.nodes[node]!.rowsAhead < most) ?? order[0]!;
      },
    };
  },
};
