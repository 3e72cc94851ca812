import type { Policy } from "../policy.ts";
import { activityAffinityPolicy, repairedAffinityPolicy } from "./activity-affinity.ts";
import { boundedHashPolicy } from "./bounded-hash.ts";
import { globalLruPolicy } from "./global-lru.ts";
import { leastLoadedPolicy } from "./least-loaded.ts";
import { migrationPolicy } from "./migration.ts";
import { noCachePolicy } from "./no-cache.ts";
import { oraclePolicy } from "./oracle.ts";
import { oursPolicy } from "./ours.ts";
import { preferLoadedPolicy } from "./prefer-loaded.ts";
import { randomPolicy } from "./random.ts";
import { rankClassesPolicy } from "./rank-classes.ts";
import { roundRobinPolicy } from "./round-robin.ts";
import { minCostFlowPolicy, stickyHashPolicy } from "./sticky-replicas.ts";
import {
  affinityOnOurNodesPolicy,
  cachedOursPolicy,
  centralCachedPolicy,
  costOursPolicy,
  plainOursPolicy,
  queuedAffinityPolicy,
  queuedOursPolicy,
  rowsQueuedOursPolicy,
} from "./variants.ts";

/** By name, as `deltaplane simulate --policy` takes them. */
export const POLICIES: ReadonlyMap<string, Policy> = new Map(
  [
    randomPolicy,
    roundRobinPolicy,
    leastLoadedPolicy,
    boundedHashPolicy,
    preferLoadedPolicy,
    activityAffinityPolicy,
    repairedAffinityPolicy,
    globalLruPolicy,
    noCachePolicy,
    migrationPolicy,
    rankClassesPolicy,
    stickyHashPolicy,
    minCostFlowPolicy,
    oraclePolicy,
    cachedOursPolicy,
    affinityOnOurNodesPolicy,
    plainOursPolicy,
    oursPolicy,
    costOursPolicy,
    queuedOursPolicy,
    rowsQueuedOursPolicy,
    queuedAffinityPolicy,
    centralCachedPolicy,
  ].map((policy) => [policy.name, policy]),
);
