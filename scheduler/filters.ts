import type { Filter, Verdict } from "./contract.ts";
import { rowsAhead } from "./load.ts";

const FITS: Verdict = { fits: true };
const unfit = (why: string): Verdict => ({ fits: false, why });

/** What a node must pass, in this order: the later a node fails, the nearer it came. */
export const FILTERS: Readonly<Record<string, Filter>> = {
  base: (node, ask) => (node.bases.has(ask.baseDigest) ? FITS : unfit("does not serve the base")),

  ready: (node) => (node.state === "ready" ? FITS : unfit(`is ${node.state}`)),

  rank(node, ask) {
    const rankMax = node.bases.get(ask.baseDigest)?.rankMax ?? 0;
    return (ask.deltaRank ?? 0) <= rankMax ? FITS : unfit(`takes ranks up to ${rankMax}, not ${ask.deltaRank}`);
  },

  excluded: (node, ask) => (ask.excludedNodes.has(node.id) ? unfit("was tried already") : FITS),

  queue(node, ask) {
    const load = node.bases.get(ask.baseDigest);
    if (!load || rowsAhead(load) >= load.rowsMax + load.queueDepthMax) return unfit("its queue is full");
    return FITS;
  },
};
