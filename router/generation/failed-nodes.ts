import type { NodeId, NodeView, Snapshot } from "#kernel";

/** Nodes that failed one request. Each stays out of it until it reports again: a dead one never does. */
export class FailedNodes {
  readonly #views: NodeView[] = [];

  add(node: NodeView): void {
    this.#views.push(node);
  }

  /** Those of whom nothing was heard since they failed. */
  on(snapshot: Snapshot): ReadonlySet<NodeId> {
    const silent = this.#views.filter(({ id, epoch, reportedAt }) => {
      const now = snapshot.nodes.get(id);
      return now?.epoch === epoch && now.reportedAt === reportedAt;
    });
    return new Set(silent.map(({ id }) => id));
  }
}
