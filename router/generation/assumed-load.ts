import type { BaseDigest, NodeId, NodeView, Snapshot } from "#kernel";
import { rowsReported } from "./node-room.ts";

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
    const known = this.#nodes.get(node.id);
    if (known) known.own += rows;
    else this.#nodes.set(node.id, { epoch: node.epoch, own: rows, reportedAt: node.reportedAt, ownAtReport: 0 });
  }

  /** The rows have ended; `node` is the view by which they were placed, `snapshot` what is known now. */
  ended(node: NodeView, rows: number, snapshot: Snapshot): void {
    this.#follow(snapshot);
    const known = this.#nodes.get(node.id);
    if (known?.epoch === node.epoch) known.own -= rows; // Else they went with an earlier start of the node.
  }

  /** What to add to each node's report, or to take off; a node that is not named is as it says. Valid until the next call. */
  on(snapshot: Snapshot): ReadonlyMap<NodeId, number> {
    this.#follow(snapshot);
    const assumed = new Map<NodeId, number>();
    for (const [id, { own, ownAtReport }] of this.#nodes) {
      const load = snapshot.nodes.get(id)?.bases.get(this.#baseDigest);
      // A report may be older than what we have placed: our own rows are there, whatever it says.
      if (load) assumed.set(id, Math.max(own - ownAtReport, own - rowsReported(load)));
    }
    return assumed;
  }

  #follow(snapshot: Snapshot): void {
    for (const [id, rows] of this.#nodes) {
      const view = snapshot.nodes.get(id);
      if (view?.epoch !== rows.epoch) this.#nodes.delete(id);
      else if (view.reportedAt !== rows.reportedAt) {
        if (rows.own === 0) this.#nodes.delete(id);
        rows.reportedAt = view.reportedAt;
        rows.ownAtReport = rows.own;
      }
    }
  }
}
