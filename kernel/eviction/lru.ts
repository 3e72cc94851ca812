import type { CreateEvictionOrder } from "./contract.ts";

/** Least recently used leaves first. The default: no assumption about costs, and never far from the best. */
export const leastRecentlyUsed: CreateEvictionOrder = () => ({
  name: "lru",
  used(entry, nowMs) {
    entry.priority = nowMs;
  },
  evicted() {},
});
