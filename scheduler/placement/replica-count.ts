export interface ReplicaLimits {
  /** Weighted tokens per second that one copy should at most carry. */
  readonly ratePerCopy: number;
  readonly copiesMax: number;
}

/** A copy is given up only when the others would carry at most this much of what they may: it does not come and go around a limit. */
const GIVE_UP_SHARE = 0.7;

/** How many nodes a delta should be on. Rises at once with its demand, falls late; never below one. Monotone in the rate. */
export function replicaCount(ratePerSecond: number, copies: number, { ratePerCopy, copiesMax }: ReplicaLimits): number {
  const wanted = Math.ceil(ratePerSecond / ratePerCopy);
  const kept = Math.ceil(ratePerSecond / (ratePerCopy * GIVE_UP_SHARE));
  const count = wanted > copies ? wanted : Math.min(copies, kept);
  return Math.max(1, Math.min(copiesMax, count));
}
