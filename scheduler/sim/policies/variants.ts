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
  source: "ours on the nodes of all others: a large delta is overtaken for as long as it takes, no free share",
};

/** What the nodes of ours are worth to another. */
export const affinityOnOurNodesPolicy: Policy = {
  ...repairedAffinityPolicy,
  name: "affinity-our-nodes",
  role: "variant",
  source: "repaired-affinity on the nodes of ours: room is kept for who was overtaken for long, a free share",
  unloadBufferShare: oursPolicy.unloadBufferShare!,
  behaviour: oursPolicy.behaviour!,
};

function withoutNodes({ behaviour: _behaviour, unloadBufferShare: _share, ...policy }: Policy): Policy {
  return policy;
}
