import { asNodeId, Fault } from "#kernel";
import type { DeltaRecord } from "../catalog/index.ts";
import type { ModelDeps } from "./delta-publication.ts";
import { referenceOf } from "./residency.ts";

/**
 * Takes a delta from the slots and the RAM of one node, when nothing uses it any more there; it stays on disk, and its next
 * request loads it again, on the node that is its place then. @throws Fault resource_unknown for a node that is not in the cluster or does not hold it,
 * resource_in_use for a pinned one
 */
export async function evictDelta(deps: ModelDeps, delta: DeltaRecord, nodeId: string, signal: AbortSignal): Promise<void> {
  const node = deps.snapshot().nodes.get(asNodeId(nodeId));
  const held = node?.deltas.get(delta.digest);
  if (!node || !held) {
    throw new Fault("resource_unknown", `the node ${nodeId} does not hold that delta`, { detail: { resource: nodeId } });
  }
  if (held.pinned) throw new Fault("resource_in_use", "the delta is pinned: unpin it first", { detail: { resource: delta.digest } });
  await deps.dispatcher.clientOf(node).detach({ delta: referenceOf(delta), keepOnDisk: true, leaderEpoch: 0 }, signal);
}
