import type { BaseDigest, DeltaDigest, Millis, NodeId, NodeView, Snapshot } from "#kernel";
import { BasePlacement } from "./base-placement.ts";
import type { NodeReport } from "./report.ts";

/** Deltas that one base's placement numbers; when more have come by, it begins anew, from what nodes report. */
const DELTAS_MAX = 2 ** 21;

/** What one node has told of its deltas' demand, in one start of it. */
interface Counted {
  readonly epoch: string;
  readonly tokens: Map<DeltaDigest, number>;
}

/** The placement of every base, kept by reports. Every scheduler keeps one; only the leader acts by it. */
export class ClusterPlacement {
  readonly #bases = new Map<BaseDigest, BasePlacement>();
  readonly #counted = new Map<NodeId, Counted>();
  #snapshot: Snapshot | undefined;

  get bases(): ReadonlyMap<BaseDigest, BasePlacement> {
    return this.#bases;
  }

  /** Goes by this snapshot from now on. */
  follow(snapshot: Snapshot, now: Millis): void {
    const before = this.#snapshot;
    this.#snapshot = snapshot;
    for (const id of before?.nodes.keys() ?? []) {
      if (snapshot.nodes.has(id)) continue;
      this.#counted.delete(id);
      for (const { index } of this.#bases.values()) index.removeNode(id);
    }
    for (const [id, node] of snapshot.nodes) if (before?.nodes.get(id) !== node) this.#setNode(node, now);
  }

  /** Takes what a report says of demand; `view`: the node as it is after the report. */
  take(report: NodeReport, view: NodeView, now: Millis): void {
    const known = this.#counted.get(report.nodeId);
    const isNew = known?.epoch !== report.epoch;
    const counted = isNew ? { epoch: report.epoch, tokens: new Map() } : known;
    this.#counted.set(report.nodeId, counted);
    for (const { digest, tokens, tokensPerSecond } of report.demand) {
      const residency = view.deltas.get(digest);
      const before = counted.tokens.get(digest) ?? 0;
      counted.tokens.set(digest, tokens);
      if (!residency) continue; // Dropped meanwhile: nobody will ask for it here.
      const base = this.#base(residency.baseDigest, now);
      if (isNew && report.full) base.seed(digest, residency, tokensPerSecond, now);
      else base.observe(digest, residency, tokens - before, now);
    }
  }

  #setNode(node: NodeView, now: Millis): void {
    for (const digest of node.bases.keys()) this.#base(digest, now);
    for (const base of this.#bases.values()) base.setNode(node);
  }

  #base(digest: BaseDigest, now: Millis): BasePlacement {
    const known = this.#bases.get(digest);
    if (known && known.index.deltaCount < DELTAS_MAX) return known;
    const base = new BasePlacement(digest, now);
    for (const node of this.#snapshot?.nodes.values() ?? []) base.setNode(node);
    this.#bases.set(digest, base);
    return base;
  }
}
