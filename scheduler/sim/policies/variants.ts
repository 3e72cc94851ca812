import type { Policy } from "../policy.ts";
import { repairedAffinityPolicy } from "./activity-affinity.ts";
import { oursPolicy } from "./ours.ts";

/** What the pick alone is worth: nothing is ever loaded, requests go where ours would send them. */
export const cachedOursPolicy: Policy = {
  ...oursPolicy,
  name: "cached-ours",
  role: "bound",
  source: "a second offline bound: every delta in a slot of every node, without taking room; node by the pick of ours",
  behaviour: { everythingCached: true },
};

/** What placement is worth without what ours asks of nodes. */
export const plainOursPolicy: Policy = {
  ...withoutNodes(oursPolicy),
  name: "ours-plain-nodes",
  role: "variant",
  source: "ours on the nodes of all others: LRU, slots taken at arrival, no drain, no free share",
};

/** What the nodes of ours are worth to another. */
export const affinityOnOurNodesPolicy: Policy = {
  ...repairedAffinityPolicy,
  name: "affinity-our-nodes",
  role: "variant",
  source: "repaired-affinity on the nodes of ours: cost score, slots taken in turn, drain",
  createOrder: oursPolicy.createOrder!,
  unloadBufferShare: oursPolicy.unloadBufferShare!,
  behaviour: oursPolicy.behaviour!,
};

function withoutNodes({ createOrder: _order, behaviour: _behaviour, unloadBufferShare: _share, ...policy }: Policy): Policy {
  return policy;
}
