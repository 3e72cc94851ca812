import { seededRandom } from "#kernel";
import type { Workload } from "./delta-catalog.ts";
import type { Policy } from "./policy.ts";
import { figuresOf } from "./sim-figures.ts";
import { type SimOptions, simulate } from "./simulator.ts";

/** Nobody is given more than so many times the nodes that the workload was made for. */
export const SIZING_FACTOR_MAX = 4;

/**
 * The least nodes on which at least `sloShare` of the requests get their first token in time, each node as large as in `options`; by halving, as more
 * nodes serve no worse. {@link SIZING_FACTOR_MAX} times the nodes of `options` when that is not enough either.
 */
export function nodesForSlo(workload: Workload, policy: Policy, options: SimOptions, sloShare: number, seed: number): number {
  let [fails, holds] = [0, SIZING_FACTOR_MAX * options.nodeCount];
  while (holds - fails > 1) {
    const nodeCount = (fails + holds) >> 1;
    const oversubscription = (options.oversubscription * options.nodeCount) / nodeCount;
    const run = simulate(workload, policy, { model: options.model, nodeCount, oversubscription }, seededRandom(seed));
    if (figuresOf(run, options.model.sloMs).slo_share >= sloShare) holds = nodeCount;
    else fails = nodeCount;
  }
  return holds;
}
