import { MINUTE, type Millis } from "../units.ts";
import type { EvictionOrder } from "./contract.ts";

/** A use counts half after this long: several times the gap between uses of a delta that is worth keeping. */
const HALF_LIFE_MS: Millis = 5 * MINUTE;

/**
 * Expected load time saved per byte and second: the rate of uses (each counts half after a half-life, which joins
 * frequency and recency) times load time over size. All entries decay alike, so their order changes at uses only: the
 * note holds log2 of the sum over uses of 2^(time / half-life), which grows with time instead of decaying.
 */
export function createCostScore(halfLifeMs: Millis = HALF_LIFE_MS): EvictionOrder {
  return {
    name: "cost",
    used(entry, nowMs) {
      entry.note = addInLog2(entry.note, nowMs / halfLifeMs);
      entry.priority = entry.note + Math.log2(entry.loadMs / entry.sizeBytes);
    },
    evicted() {},
  };
}

/** log2(2^one + 2^other), without overflow; minus infinity stands for nothing. */
function addInLog2(one: number, other: number): number {
  const larger = Math.max(one, other);
  return larger === Number.NEGATIVE_INFINITY ? larger : larger + Math.log2(1 + 2 ** (Math.min(one, other) - larger));
}
