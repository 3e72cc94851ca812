import type { Policy } from "../policy.ts";

export const roundRobinPolicy: Policy = {
  name: "round-robin",
  source: "one after the other: gRPC's and nginx's default",
  start(cluster) {
    let next = 0;
    return { route: () => cluster.alive[next++ % cluster.alive.length]! };
  },
};
