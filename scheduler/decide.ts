import type { NodeId, NodeView, Random, Snapshot } from "#kernel";
import type { Ask, AssumedRows, Decision, Ranked, Trace } from "./contract.ts";
import { FILTERS } from "./filters.ts";
import { withAssumedRows } from "./load.ts";
import { pickBest } from "./pick.ts";
import { type Place, placesFor } from "./places.ts";
import { SCORES } from "./scores.ts";

const NOTHING_ASSUMED: AssumedRows = new Map();
const FILTER_ENTRIES = Object.entries(FILTERS);
const FILTER_ORDER = Object.keys(FILTERS);
const SCORE_ENTRIES = Object.entries(SCORES);
const WEIGHT_SUM = SCORE_ENTRIES.reduce((sum, [, { weight }]) => sum + weight, 0);

/**
 * Chooses the node for an ask: filter, place, score, pick. A function of its arguments only; equal seeds give equal
 * decisions. `assumed` is what the caller knows of rows that no report shows yet.
 */
export function decide(ask: Ask, cluster: Snapshot, random: Random, assumed: AssumedRows = NOTHING_ASSUMED): Decision {
  const { fit, refused } = filter(ask, cluster, assumed);
  if (fit.length === 0) return { kind: "none", why: nearestMiss(refused), trace: { refused, passedOver: [], ranked: [] } };
  const places = placesFor(ask, fit);
  const ranked = places.map(({ node }) => rank(node, ask, cluster)).sort((one, other) => other.total - one.total);
  const chosen = pickBest(ranked, random).node;
  const { residency, reason } = places.find(({ node }) => node === chosen)!;
  const passedOver = places.length === fit.length ? [] : unplaced(fit, places);
  return { kind: "node", node: cluster.nodes.get(chosen.id)!, residency, reason, trace: { refused, passedOver, ranked } };
}

function filter(ask: Ask, cluster: Snapshot, assumed: AssumedRows): { fit: readonly NodeView[]; refused: Trace["refused"] } {
  const fit: NodeView[] = [];
  const refused: Trace["refused"][number][] = [];
  for (const reported of cluster.nodes.values()) {
    const node = withAssumedRows(reported, ask, assumed);
    const refusal = firstRefusal(node, ask, cluster);
    if (refusal) refused.push({ nodeId: node.id, ...refusal });
    else fit.push(node);
  }
  return { fit, refused };
}

function firstRefusal(node: NodeView, ask: Ask, cluster: Snapshot): { filter: string; why: string } | undefined {
  for (const [name, filter] of FILTER_ENTRIES) {
    const verdict = filter(node, ask, cluster);
    if (!verdict.fits) return { filter: name, why: verdict.why };
  }
  return undefined;
}

function unplaced(fit: readonly NodeView[], places: readonly Place[]): readonly NodeId[] {
  const placed = new Set(places.map(({ node }) => node));
  return fit.filter((node) => !placed.has(node)).map(({ id }) => id);
}

/** Runs for each place of each request: no more objects than the trace needs. */
function rank(node: NodeView, ask: Ask, cluster: Snapshot): Ranked {
  const scores: Record<string, number> = {};
  let sum = 0;
  for (const [name, { weight, score }] of SCORE_ENTRIES) {
    const value = score(node, ask, cluster);
    scores[name] = value;
    sum += weight * value;
  }
  return { node, total: sum / WEIGHT_SUM, scores };
}

/** The last filter that anyone reached: a full queue says more than a node without the base. */
function nearestMiss(refused: Trace["refused"]): string {
  const reached = refused.map((refusal) => FILTER_ORDER.indexOf(refusal.filter));
  return FILTER_ORDER[Math.max(...reached)] ?? "membership";
}
