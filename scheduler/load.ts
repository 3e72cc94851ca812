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

/**
 * The node as it is, or soon will be: rows that are on their way to it fill its rows, then its queue; below zero, rows
 * that have ended since its report leave its queue, then its rows.
 */
export function withAssumedRows(node: NodeView, ask: Ask, assumed: AssumedRows): NodeView {
  const rows = assumed.get(node.id) ?? 0;
  const load = node.bases.get(ask.baseDigest);
  if (rows === 0 || !load) return node;
  const ahead = Math.max(0, rowsAhead(load) + rows);
  const running =
    rows > 0 ? Math.max(load.rowsRunning, Math.min(load.rowsMax, load.rowsRunning + rows)) : Math.min(load.rowsRunning, ahead);
  return { ...node, bases: new Map(node.bases).set(ask.baseDigest, { ...load, rowsRunning: running, queueDepth: ahead - running }) };
}
