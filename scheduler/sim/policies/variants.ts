import { EVICTION_ORDERS } from "#kernel";
import type { Policy, QueueRules, RunningPolicy, SimAsk, SimCluster } from "../policy.ts";
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

/** What nodes are worth that are told to evict by cost instead of least recent use. */
export const costOursPolicy: Policy = {
  ...oursPolicy,
  name: "ours-cost",
  role: "variant",
  source: "ours on nodes that evict by the cost score of kernel/eviction, as production's can be told to",
  createOrder: EVICTION_ORDERS.cost,
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

/** What production has: the router's queue before the nodes. */
const ROUTERS_QUEUE: QueueRules = { order: "turns", needsSlot: true };

export const queuedOursPolicy: Policy = {
  ...oursPolicy,
  name: "ours-queued",
  role: "variant",
  source: "ours behind the queue of production's routers: by tenants' turns, bound to a node when that has a row and a slot",
  queue: ROUTERS_QUEUE,
};

export const rowsQueuedOursPolicy: Policy = {
  ...oursPolicy,
  name: "ours-queued-rows",
  role: "variant",
  source: "the same, but slots are waited for on nodes, as production did until 2026-11-23",
  queue: { ...ROUTERS_QUEUE, needsSlot: false },
};

export const queuedAffinityPolicy: Policy = {
  ...repairedAffinityPolicy,
  name: "affinity-queued",
  role: "variant",
  source: "repaired-affinity behind the queue of production's routers",
  queue: ROUTERS_QUEUE,
  start: (cluster, random) => amongThoseWithRoom(cluster, (limited) => repairedAffinityPolicy.start(limited, random)),
};

/** No node idles while anybody waits: the most that binding late can give. */
export const centralCachedPolicy: Policy = {
  ...cachedOursPolicy,
  name: "cached-central",
  source:
    "a third bound: everything cached, and one queue for all nodes, first come first served, whose next request starts in the very step that has a row for it",
  queue: { order: "arrival", needsSlot: false, instant: true },
};

/** For a policy that knows of no queue: it is shown the nodes that have room. */
function amongThoseWithRoom(cluster: SimCluster, start: (limited: SimCluster) => RunningPolicy): RunningPolicy {
  let alive = cluster.alive;
  const running = start(Object.create(cluster, { alive: { get: () => alive } }) as SimCluster);
  const fits =
    ({ delta, hasRoom, needsSlot }: SimAsk) =>
    (node: number) => {
      const { slots } = cluster.nodes[node]!.loads;
      const isInUse = (slots.get(delta)?.references ?? 0) > 0;
      return (hasRoom?.(node) ?? true) && (!needsSlot || isInUse || cluster.nodes[node]!.loads.hasRoom(delta));
    };
  return {
    ...running,
    route(ask) {
      alive = cluster.alive.filter(fits(ask));
      return alive.length > 0 ? running.route(ask) : undefined;
    },
  };
}

function withoutNodes({ behaviour: _behaviour, unloadBufferShare: _share, ...policy }: Policy): Policy {
  return policy;
}
