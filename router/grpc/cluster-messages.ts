import type { Handover, Millis, NodeView, PlacementPlan } from "#kernel";
import { baseLoadToMessage, type ClusterNode, type GetClusterResponse, nodeStateToMessage, residencyToMessage } from "#proto";
import { type CatalogView, deltaName } from "../catalog/index.ts";

/** A node as operators see it, with the names of what it holds. */
export function nodeMessage(view: CatalogView, node: NodeView, now: Millis, handover: Handover | undefined): ClusterNode {
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
    handover: handover && { nodeId: node.id, ...handover },
    reportAgeMs: Math.max(0, Math.round(now - node.reportedAt)),
  };
}

/** What the leading scheduler wants. */
export function planMessage(
  plan: PlacementPlan | undefined,
): Pick<GetClusterResponse, "leader" | "leaderEpoch" | "baseTargets" | "copies"> {
  if (!plan) return { leader: "", leaderEpoch: 0, baseTargets: [], copies: [] };
  return {
    leader: plan.leader ?? "",
    leaderEpoch: plan.leaderEpoch,
    baseTargets: [...plan.bases].map(([baseDigest, { name, ...target }]) => ({ baseDigest, baseName: name, ...target })),
    copies: [...plan.copies].map(([digest, nodeIds]) => ({ digest, nodeIds: [...nodeIds] })),
  };
}
