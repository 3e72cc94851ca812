import type { ClusterNode } from "./shapes.ts";

/** What a node's state is called, and how that looks. */
export interface ShownState {
  readonly word: string;
  readonly kind: "good" | "warn" | "bad" | "plain";
}

export function shownState(node: ClusterNode): ShownState {
  if (node.silent_s > 0) return { word: `silent for ${node.silent_s} s`, kind: "bad" };
  if (node.state === "ready") return { word: "ready", kind: "good" };
  if (node.state === "starting") return { word: "starting", kind: "plain" };
  return isDrained(node) ? { word: "drained", kind: "plain" } : { word: "draining", kind: "warn" };
}

/** It takes nothing new, and nothing runs any more. */
export function isDrained({ state, bases }: ClusterNode): boolean {
  return state === "draining" && bases.every((base) => base.rows_running === 0 && base.queue_depth === 0);
}
