import type { Millis, NodeId, NodeView, Snapshot } from "#kernel";

/**
 * The rows that this router has placed on each node since that node last reported, and that have not ended: the part of
 * its load that no snapshot shows yet. Without it, everything that arrives between two reports goes to one node.
 */
export class AssumedLoad {
  readonly #rows = new Map<NodeId, number>();
  readonly #reports = new Map<NodeId, Millis>();

  placed(node: NodeView, rows: number): void {
    const sinceReport = this.#reports.get(node.id) === node.reportedAt;
    this.#rows.set(node.id, (sinceReport ? this.#rows.get(node.id)! : 0) + rows);
    this.#reports.set(node.id, node.reportedAt);
  }

  /** The rows have ended; `node` is the view by which they were placed. A later report counts without them anyway. */
  ended(node: NodeView, rows: number): void {
    if (this.#reports.get(node.id) === node.reportedAt) this.#rows.set(node.id, this.#rows.get(node.id)! - rows);
  }

  /** Rows by node; valid until the next call. */
  on(snapshot: Snapshot): ReadonlyMap<NodeId, number> {
    for (const [id, reportedAt] of this.#reports) {
      if (snapshot.nodes.get(id)?.reportedAt === reportedAt) continue;
      this.#reports.delete(id);
      this.#rows.delete(id);
    }
    return this.#rows;
  }
}
