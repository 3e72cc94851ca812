import { isFault, type NodeView } from "#kernel";
import type { ClusterView } from "./cluster-view.ts";
import type { NodeClient } from "./contract.ts";

/** What it takes to take nodes out of service. */
export interface DrainDeps {
  readonly cluster: Pick<ClusterView, "drain">;
  readonly dispatcher: { clientOf(node: NodeView): NodeClient };
}

/** Takes a node out of service; resolves when its running work is done. Without a scheduler nobody copies its hot deltas first. */
export async function drainNode({ cluster, dispatcher }: DrainDeps, node: NodeView, signal: AbortSignal): Promise<void> {
  try {
    await cluster.drain(node.id, signal);
  } catch (error) {
    if (!isFault(error, "node_lost") && !isFault(error, "lease_lost")) throw error;
    await dispatcher.clientOf(node).drain(signal);
  }
}
