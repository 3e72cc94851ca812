export * from "./contract.ts";
export { leastRecentlyUsed } from "./lru.ts";

import type { CreateEvictionOrder } from "./contract.ts";
import { createCostScore } from "./cost-score.ts";
import { greedyDualSizeFrequency } from "./gdsf.ts";
import { leastRecentlyUsed } from "./lru.ts";

/** By name, as configured. */
export const EVICTION_ORDERS: Readonly<Record<"lru" | "gdsf" | "cost", CreateEvictionOrder>> = {
  lru: leastRecentlyUsed,
  gdsf: greedyDualSizeFrequency,
  cost: () => createCostScore(),
};
