import type { Millis, Tier } from "#kernel";
import type { DemandBook } from "../demand/index.ts";

export interface Prefetch {
  readonly delta: number;
  readonly node: number;
  readonly target: Tier;
}

export interface PrefetchInput {
  readonly demand: DemandBook;
  readonly nowMs: Millis;
  /** Where a delta should be. */
  readonly placesOf: (delta: number) => readonly number[];
  /** Where it stands there; undefined for nowhere. */
  readonly tierOf: (node: number, delta: number) => Tier | undefined;
  /** Loads ahead share links with those that somebody waits for: so many per node and round. */
  readonly perNodeMax: number;
}

/** Loads ahead per node and round, unless told otherwise. */
export const LOADS_PER_NODE_MAX = 8;
/** Asked for so rarely (weighted tokens per second: a short request in ten minutes), a delta is better off on disk until it is asked for again. */
const RAM_RATE_MIN = 0.2;

const SPEED: Readonly<Record<Tier, number>> = { slot: 2, ram: 1, disk: 0 };

/** What to load before anybody asks, the hottest first: to RAM where there is demand, else to disk. */
export function prefetchPlan(candidates: Iterable<number>, input: PrefetchInput): readonly Prefetch[] {
  const { demand, nowMs, placesOf, tierOf, perNodeMax } = input;
  const wanted = [...candidates].map((delta) => ({ delta, rate: demand.ratePerSecond(delta, nowMs) }));
  wanted.sort((one, other) => other.rate - one.rate || one.delta - other.delta);
  const counts = new Map<number, number>();
  const plan: Prefetch[] = [];
  for (const { delta, rate } of wanted) {
    const target = rate >= RAM_RATE_MIN ? "ram" : "disk";
    for (const node of placesOf(delta)) {
      const tier = tierOf(node, delta);
      const count = counts.get(node) ?? 0;
      if ((tier && SPEED[tier] >= SPEED[target]) || count >= perNodeMax) continue;
      counts.set(node, count + 1);
      plan.push({ delta, node, target });
    }
  }
  return plan;
}
