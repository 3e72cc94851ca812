import type { NodeId, NodeView, Snapshot } from "#kernel";

const NOBODY: ReadonlySet<NodeId> = new Set();

/** Nodes that failed one request, or lost their connection. Each stays out until it reports again: a dead one never does. */
export class FailedNodes {
  readonly #snapshot: () => Snapshot;
  #views: readonly NodeView[] = [];

  /** @param snapshot the last one that was heard */
  constructor(snapshot: () => Snapshot) {
    this.#snapshot = snapshot;
  }

  /** It failed just now: what counts is what was heard of it until now, not the older view by which it was chosen. */
  add({ id }: NodeView): void {
    const known = this.#snapshot().nodes.get(id);
    if (known) this.#views = [...this.#views.filter((view) => view.id !== id), known];
  }

  /** Those of whom nothing was heard since they failed. */
  present(): ReadonlySet<NodeId> {
    if (this.#views.length === 0) return NOBODY;
    const { nodes } = this.#snapshot();
    this.#views = this.#views.filter(({ id, epoch, reportedAt }) => {
      const now = nodes.get(id);
      return now?.epoch === epoch && now.reportedAt === reportedAt;
    });
    return new Set(this.#views.map(({ id }) => id));
  }
}
