import type { Policy } from "../policy.ts";
import { leastLoaded } from "./node-choice.ts";

export const noCachePolicy: Policy = {
  name: "no-cache",
  source:
    "the server of Sheng et al. 2024: what is not in the running batch leaves the accelerator at once and stays in host memory; requests to the node with the fewest rows",
  behaviour: { keepsIdle: false },
  start: (cluster, random) => ({ route: () => leastLoaded(cluster, cluster.alive, random) }),
};
