import type { Millis, NodeView } from "#kernel";
import { baseLoadToMessage, type ClusterNode, nodeStateToMessage, residencyToMessage } from "#proto";
import { type CatalogView, deltaName } from "../catalog/index.ts";

/** A node as operators see it, with the names of what it holds. */
export function nodeMessage(view: CatalogView, node: NodeView, now: Millis): ClusterNode {
  const deltaNames: Record<string, string> = {};
  for (const digest of node.deltas.keys()) {
    const delta = view.get("delta", digest);
    if (delta) deltaNames[digest] = deltaName(delta);
  }
  return {
    view: {
      id: node.id,
      address: node.address,
      state: nodeStateToMessage(node.state),
      epoch: node.epoch,
      bases: [...node.bases].map(([digest, load]) => baseLoadToMessage(digest, load)),
      full: true,
      deltas: [...node.deltas].map(([digest, residency]) => residencyToMessage(digest, residency)),
      removedDigests: [],
    },
    deltaNames,
    reportAgeMs: Math.max(0, Math.round(now - node.reportedAt)),
  };
}
