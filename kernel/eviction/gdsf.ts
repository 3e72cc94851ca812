import type { CreateEvictionOrder } from "./contract.ts";

/**
 * Greedy-Dual-Size with frequency (Cherkasova 1998): age + uses · load time / size. The age is the priority of the last
 * that left, so that what was once popular does not stay for ever.
 */
export const greedyDualSizeFrequency: CreateEvictionOrder = () => {
  let age = 0;
  return {
    name: "gdsf",
    used(entry) {
      entry.note = Math.max(0, entry.note) + 1;
      entry.priority = age + (entry.note * entry.loadMs) / entry.sizeBytes;
    },
    evicted(entry) {
      age = Math.max(age, entry.priority);
    },
  };
};
