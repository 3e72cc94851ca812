import type { Policy } from "../policy.ts";
import { leastLoaded } from "./node-choice.ts";

export const oraclePolicy: Policy = {
  name: "oracle",
  role: "bound",
  source:
    "offline bound: every delta in a slot of every node, without taking room (the CACHED oracle of Toppings); node with the fewest rows",
  behaviour: { everythingCached: true },
  start: (cluster, random) => ({ route: () => leastLoaded(cluster, cluster.alive, random) }),
};
