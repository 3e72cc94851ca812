import type { Millis } from "#kernel";

export interface CapacityDemand {
  /** Weighted tokens per second, of all deltas of the base. */
  readonly ratePerSecond: number;
  /** What one node carries when full. */
  readonly nodeRate: number;
  readonly nodeCount: number;
  /** Since anybody asked for the base. */
  readonly idleMs: Millis;
  readonly nodesMin: number;
  readonly nodesMax: number;
  /** Without a request for so long, the base goes down to `nodesMin`, which may be none. */
  readonly idleMsMax: Millis;
}

/** Nodes are filled to this: beyond it, waiting grows faster than what is saved. */
const FILL = 0.7;
/** A node is given up when the others would be filled to at most this: the band between is what keeps the number still. */
const GIVE_UP_FILL = 0.5;

/** How many nodes a base should have: up at once, down late, to none when nobody asks, and one at the first request after that. Monotone in the rate. */
export function nodeTarget({ ratePerSecond, nodeRate, nodeCount, idleMs, nodesMin, nodesMax, idleMsMax }: CapacityDemand): number {
  if (idleMs >= idleMsMax) return nodesMin;
  const wanted = Math.ceil(ratePerSecond / (nodeRate * FILL));
  const kept = Math.ceil(ratePerSecond / (nodeRate * GIVE_UP_FILL));
  const count = wanted > nodeCount ? wanted : Math.min(nodeCount, kept);
  return Math.min(nodesMax, Math.max(nodesMin, 1, count));
}
