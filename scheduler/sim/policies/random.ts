import type { Policy } from "../policy.ts";

export const randomPolicy: Policy = {
  name: "random",
  source: "uniform choice: what a Kubernetes Service does",
  start: (cluster, random) => ({ route: () => cluster.alive[random.below(cluster.alive.length)]! }),
};
