import type { Millis } from "#kernel";
import type { DemandBook } from "../demand/index.ts";
import type { HomeRing } from "./home-ring.ts";

export interface DrainCopy {
  readonly delta: number;
  readonly to: number;
}

/**
 * What to copy off a node before it leaves, the hottest first, each to the place it will have without that node; those that another node has already
 * are left out, and so are those that nobody asks for. `ring` is the ring without the node.
 */
export function drainPlan(
  resident: Iterable<number>,
  deltaHash: (delta: number) => number,
  hasCopyElsewhere: (delta: number) => boolean,
  { ring, demand, nowMs, copiesMax }: { ring: HomeRing; demand: DemandBook; nowMs: Millis; copiesMax: number },
): readonly DrainCopy[] {
  const into: number[] = [];
  return [...resident]
    .map((delta) => ({ delta, rate: demand.ratePerSecond(delta, nowMs) }))
    .filter(({ delta, rate }) => rate > 0 && !hasCopyElsewhere(delta))
    .sort((one, other) => other.rate - one.rate || one.delta - other.delta)
    .slice(0, copiesMax)
    .flatMap(({ delta }) => (ring.candidates(deltaHash(delta), 1, into) > 0 ? [{ delta, to: into[0]! }] : []));
}
