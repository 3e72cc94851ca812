import type { BaseDigest, NodeId, NodeView, Snapshot } from "#kernel";
import { rowsAhead } from "#scheduler";

interface NodeRows {
  readonly epoch: string;
  /** That this router has placed there and that have not ended. */
  own: number;
  /** The report that was last looked at, and how many were our own when it came. */
  reportedAt: number;
  ownAtReport: number;
}

/**
 * How the rows of one base on each node differ from what the node last reported, as far as this router knows: it has
 * placed some since, and seen some end. Without it, everything that arrives between two reports goes to one node, and no
 * row that becomes free is filled before the next report.
 */
export class AssumedLoad {
  readonly #baseDigest: BaseDigest;
  readonly #nodes = new Map<NodeId, NodeRows>();

  constructor(baseDigest: BaseDigest) {
    this.#baseDigest = baseDigest;
  }

  placed(node: NodeView, rows: number): void {
    const known = this.#rowsOf(node);
    if (known) known.own += rows;
    else this.#nodes.set(node.id, { epoch: node.epoch, own: rows, reportedAt: node.reportedAt, ownAtReport: 0 });
  }

  /** The rows have ended; `node` is the view by which they were placed, `snapshot` what is known now. */
  ended(node: NodeView, rows: number, snapshot: Snapshot): void {
    const now = snapshot.nodes.get(node.id);
    const known = now && this.#rowsOf(now);
    if (!now) this.#nodes.delete(node.id);
    else if (known?.epoch === node.epoch) known.own -= rows; // Else they went with an earlier start of the node.
  }

  /** What to add to a node's newest report, or to take off. */
  on(node: NodeView): number {
    const known = this.#rowsOf(node);
    const load = node.bases.get(this.#baseDigest);
    // A report may be older than what we have placed: our own rows are there, whatever it says.
    return known && load ? Math.max(known.own - known.ownAtReport, known.own - rowsAhead(load)) : 0;
  }

  /** Ours on a node, brought up to its newest view; undefined for none. */
  #rowsOf(view: NodeView): NodeRows | undefined {
    const rows = this.#nodes.get(view.id);
    if (!rows) return undefined;
    if (view.epoch === rows.epoch && view.reportedAt === rows.reportedAt) return rows;
    if (view.epoch !== rows.epoch || rows.own === 0) {
      this.#nodes.delete(view.id);
      return undefined;
    }
    rows.reportedAt = view.reportedAt;
    rows.ownAtReport = rows.own;
    return rows;
  }
}
