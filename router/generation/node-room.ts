import type { BaseDigest, BaseLoad, NodeId, Snapshot } from "#kernel";
import type { Ahead } from "../admission/index.ts";

/**
 * Of a node's rows, how many more requests are sent there than there are rows. One in four while a tenant asks alone: between
 * the end of a text and the arrival of the next request lie a message each way, its prompt's tokens and perhaps its delta; meanwhile the
 * row would idle. As many again for those below their share: they must find room also where somebody was alone just now.
 * What waits there is bound to that node, so nobody else may.
 */
const LOOKAHEAD: Readonly<Record<Ahead, number>> = { not: 0, alone: 1 / 4, below_share: 1 / 2 };

/** Rows that a node says it has, running and waiting. */
export function rowsReported(load: BaseLoad): number {
  return load.rowsRunning + load.queueDepth;
}

/** What is known of where a base has room. */
export interface Room {
  /** Ready nodes of the base that get no more requests for now. */
  readonly full: ReadonlySet<NodeId>;
  /** Whether a ready node of the base gets more. */
  readonly any: boolean;
}

/**
 * @param assumed what to add to each node's report
 * @param ahead whoever may not wait in the node waits where whoever comes can still go before them, and for the first row
 * that becomes free on any node
 */
export function roomOn(snapshot: Snapshot, baseDigest: BaseDigest, assumed: ReadonlyMap<NodeId, number>, ahead: Ahead): Room {
  const full = new Set<NodeId>();
  let any = false;
  for (const node of snapshot.nodes.values()) {
    const load = node.bases.get(baseDigest);
    if (!load || node.state !== "ready") continue;
    if (rowsReported(load) + (assumed.get(node.id) ?? 0) >= rowsTaken(load, ahead)) full.add(node.id);
    else any = true;
  }
  return { full, any };
}

function rowsTaken({ rowsMax, queueDepthMax }: BaseLoad, ahead: Ahead): number {
  return rowsMax + Math.min(Math.ceil(rowsMax * LOOKAHEAD[ahead]), queueDepthMax);
}
