import type { NodeId, NodeView, Snapshot } from "#kernel";

const NOBODY: ReadonlySet<NodeId> = new Set();

/** Nodes that failed one request, or lost their connection. Each stays out until it reports again: a dead one never does. */
export class FailedNodes {
  #views: readonly NodeView[] = [];

  add(node: NodeView): void {
    this.#views = [...this.#views, node];
  }

  /** Those of whom nothing was heard since they failed. */
  on(snapshot: Snapshot): ReadonlySet<NodeId> {
    if (this.#views.length === 0) return NOBODY;
    this.#views = this.#views.filter(({ id, epoch, reportedAt }) => {
      const now = snapshot.nodes.get(id);
      return now?.epoch === epoch && now.reportedAt === reportedAt;
    });
    return new Set(this.#views.map(({ id }) => id));
  }
}
