import type { Policy } from "../policy.ts";
import { leastLoaded } from "./node-choice.ts";

export const leastLoadedPolicy: Policy = {
  name: "least-loaded",
  source: "join the shortest queue (Winston 1977): the node with the fewest rows, wherever the delta is",
  start: (cluster, random) => ({ route: () => leastLoaded(cluster, cluster.alive, random) }),
};
