import { MINUTE, type Millis } from "#kernel";
import { COMPARISON_DEFAULTS, type ComparisonOptions } from "./comparison.ts";
import { POLICIES } from "./policies/index.ts";
import { ARRIVALS, type ArrivalsName } from "./workloads/arrivals.ts";
import type { TraceRequest } from "./workloads/trace-file.ts";

export interface SuiteOptions {
  readonly seeds: number;
  /** As the tables name it, with its requests; without it the suite has the synthetic workloads only. */
  readonly trace?: { readonly name: string; readonly requests: readonly TraceRequest[] } | undefined;
  /** Multiplies the virtual time of every cell; 1 is what is recorded. */
  readonly timeScale?: number;
}

/** One table: all policies under one set of options. */
export interface SuiteCell {
  /** What the cell is there to show. */
  readonly group: string;
  readonly workload: string;
  readonly options: ComparisonOptions;
}

/** The first fifth of a run, which is not counted, is long enough to fill the caches from the store at full speed. Large ones have eight times the requests per minute. */
const SMALL = { nodeCount: 8, deltaCount: 1000, durationMs: 5 * MINUTE };
const LARGE = { nodeCount: 64, deltaCount: 10_000, durationMs: 3 * MINUTE };
/** A crowd of five times the mean fits into a cluster that is loaded to this; at the usual 0.6 it is three times what all nodes can do. */
const BURST_LOAD = 0.3;
const SLO_SHARE = 0.99;
/** A long prompt alone takes most of the promised second: with nine in ten the number of nodes still tells policies apart. */
const TRACE_SLO_SHARE = 0.9;

type Given = Partial<ComparisonOptions> & { readonly nodeCount: number; readonly deltaCount: number; readonly durationMs: Millis };

/**
 * What docs/placement.md quotes, the most telling first: every workload on 8 nodes at eight times over-subscription, at a load that bursts fit into, the nodes that
 * the promise takes, over-subscription 1 to 32, 100 to 100,000 deltas, popularity, faults, 64 nodes, another kind of node.
 */
export function placementSuite({ seeds, trace, timeScale = 1 }: SuiteOptions): readonly SuiteCell[] {
  const cells: SuiteCell[] = [];
  const add = (group: string, workload: string, given: Given): void => {
    cells.push({
      group,
      workload,
      options: {
        ...COMPARISON_DEFAULTS,
        policies: AT_ARRIVAL,
        ...given,
        durationMs: timeScale * given.durationMs,
        seeds,
        workload: workload === trace?.name ? trace.requests : (workload as ArrivalsName),
      },
    });
  };
  const traces = trace ? [trace.name] : [];
  const all = [...Object.keys(ARRIVALS), ...traces];
  for (const workload of all) add("workloads, 8 nodes", workload, SMALL);
  for (const workload of ["flash-crowd", ...traces]) add("bursts that fit, 8 nodes", workload, { ...SMALL, load: BURST_LOAD });
  for (const workload of all) {
    const bursty = workload === "flash-crowd" || workload === trace?.name;
    const sizeForSlo = workload === trace?.name ? TRACE_SLO_SHARE : SLO_SHARE;
    const load = bursty ? BURST_LOAD : COMPARISON_DEFAULTS.load;
    add("nodes at the promise, 8 nodes", workload, { ...SMALL, durationMs: 4 * MINUTE, load, policies: SIZED, sizeForSlo });
  }
  for (const workload of ["poisson", ...traces]) {
    for (const oversubscription of [1, 2, 4, 16, 32]) add("over-subscription, 8 nodes", workload, { ...SMALL, oversubscription });
  }
  for (const deltaCount of [100, 10_000, 100_000]) add("deltas, 8 nodes", "poisson", { ...SMALL, deltaCount });
  for (const skew of [0.8, 1.5]) add("skew, 8 nodes", "poisson", { ...SMALL, skew });
  add("faults, 8 nodes", "poisson", { ...SMALL, faults: true });
  for (const workload of ["poisson", "mmpp", ...traces]) add("workloads, 64 nodes", workload, LARGE);
  for (const workload of Object.keys(ARRIVALS)) add("gpu-7b, 8 nodes", workload, { ...SMALL, durationMs: 4 * MINUTE, model: "gpu-7b" });
  for (const workload of ["gamma", "flash-crowd", "diurnal"]) add("workloads, 64 nodes", workload, LARGE);
  for (const workload of all) add("behind a queue, 8 nodes", workload, { ...SMALL, policies: QUEUED });
  for (const oversubscription of [1, 2, 32, 4, 16]) add("over-subscription, 64 nodes", "poisson", { ...LARGE, oversubscription });
  for (const deltaCount of [100_000, 1000, 100]) add("deltas, 64 nodes", "poisson", { ...LARGE, deltaCount });
  for (const workload of all) add("eviction by cost, 8 nodes", workload, { ...SMALL, policies: BY_COST });
  for (const workload of traces) add("eviction by cost, 8 nodes", workload, { ...SMALL, oversubscription: 2, policies: BY_COST });
  add("eviction by cost, 8 nodes", "poisson", { ...SMALL, skew: 1.5, policies: BY_COST });
  add("eviction by cost, 64 nodes", "poisson", { ...LARGE, deltaCount: 100, policies: BY_COST });
  return cells;
}

const COST_VARIANT = "ours-cost";
/** Those whose requests are bound to a node when they come, as all published policies have it. */
const AT_ARRIVAL: readonly string[] = [...POLICIES.values()]
  .filter(({ name, queue }) => !queue && name !== COST_VARIANT)
  .map(({ name }) => name);
/** What the order of eviction is worth where loads count most, beside the others that come near. */
const BY_COST: readonly string[] = ["bounded-hash", "activity-affinity", "repaired-affinity", "oracle", COST_VARIANT, "ours"];
/** What a queue before the nodes is worth, production's and the best there is. */
const QUEUED: readonly string[] = [
  ...["activity-affinity", "repaired-affinity", "affinity-queued", "oracle", "cached-ours", "cached-central"],
  ...["ours", "ours-queued-rows", "ours-queued"],
];

/** Sizing takes five runs for one: those that come near, and the bound. */
const SIZED: readonly string[] = [
  ...["bounded-hash", "activity-affinity", "repaired-affinity", "migration", "rank-classes", "min-cost-flow", "least-loaded"],
  ...["oracle", "ours"],
];
