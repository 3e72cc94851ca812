export { ClusterIndex, type ClusterIndexOptions, PLAIN_BASE } from "./cluster-index.ts";
export { type DrainCopy, drainPlan } from "./drain-plan.ts";
export { costToOthersMs, createOutlook, firstTokenMs, type NodeOutlook } from "./estimate.ts";
export { HomeRing } from "./home-ring.ts";
export { type AnyAsk, NodePick, type PickAsk, type PickView } from "./node-pick.ts";
export { type CapacityDemand, nodeTarget } from "./node-targets.ts";
export { type Move, Placement, type RoundInput, type RoundOptions } from "./placement-round.ts";
export { type Prefetch, type PrefetchInput, prefetchPlan } from "./prefetch-plan.ts";
export { type ReplicaLimits, replicaCount } from "./replica-count.ts";
