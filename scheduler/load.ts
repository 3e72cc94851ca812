import type { BaseLoad, NodeView } from "#kernel";
import type { Ask, AssumedRows } from "./contract.ts";

/** How many rows there are before the next one: running and waiting. */
export function rowsAhead(load: BaseLoad): number {
  return load.rowsRunning + load.queueDepth;
}

/**
 * How loaded a node is for the ask's base: 0 idle, 1 all rows taken, 2 as many waiting as there are rows, and so on.
 * Infinite when it has no rows at all.
 */
export function relativeLoad(node: NodeView, ask: Ask): number {
  const load = node.bases.get(ask.baseDigest);
  return load && load.rowsMax > 0 ? rowsAhead(load) / load.rowsMax : Number.POSITIVE_INFINITY;
}

/** The node as it will be once the rows that are on their way to it have arrived: they fill its rows, then its queue. */
export function withAssumedRows(node: NodeView, ask: Ask, assumed: AssumedRows): NodeView {
  const rows = assumed.get(node.id) ?? 0;
  const load = node.bases.get(ask.baseDigest);
  if (rows <= 0 || !load) return node;
  const rowsRunning = Math.max(load.rowsRunning, Math.min(load.rowsMax, load.rowsRunning + rows));
  const queueDepth = load.queueDepth + rows - (rowsRunning - load.rowsRunning);
  return { ...node, bases: new Map(node.bases).set(ask.baseDigest, { ...load, rowsRunning, queueDepth }) };
}
