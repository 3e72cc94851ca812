import type { BaseDigest, NodeId, NodeView, Snapshot } from "#kernel";
import { BasePicks } from "./base-picks.ts";
import type { Ask, Decision, HasRoom } from "./contract.ts";

export interface ClusterPicksOptions {
  /**
   * What the caller knows of a base's rows on a node that its report does not show: sent since, or ended. Asked with each report and after
   * {@link ClusterPicks.rowsChanged}. Default: nothing.
   */
  readonly assumedRows?: (baseDigest: BaseDigest, node: NodeView) => number;
}

/** Deltas that one index numbers; when more have come by than are asked for at any time, it begins anew. About 300 MB. */
const DELTAS_MAX = 2 ** 20;
const NOWHERE: readonly NodeId[] = [];

/** Chooses nodes for asks from the last snapshot. Keeps an index per base, and touches of each new snapshot only what changed. */
export class ClusterPicks {
  readonly #assumedRows: NonNullable<ClusterPicksOptions["assumedRows"]>;
  readonly #bases = new Map<BaseDigest, BasePicks>();
  #snapshot: Snapshot | undefined;

  constructor({ assumedRows = () => 0 }: ClusterPicksOptions = {}) {
    this.#assumedRows = assumedRows;
  }

  /** Picks go by this snapshot from now on. Costs nothing when it is the one they go by already. */
  follow(snapshot: Snapshot): void {
    const before = this.#snapshot;
    if (snapshot === before) return;
    this.#snapshot = snapshot;
    for (const { index } of this.#bases.values()) {
      for (const id of before?.nodes.keys() ?? []) if (!snapshot.nodes.has(id)) index.removeNode(id);
      for (const [id, node] of snapshot.nodes) if (before?.nodes.get(id) !== node) index.setNode(node);
    }
  }

  pick(ask: Ask, hasRoom: HasRoom): Decision {
    return this.#picksFor(ask.baseDigest).pick(ask, hasRoom);
  }

  /** A node has given the first token of an ask: its prompt is computed. */
  answered({ baseDigest, promptTokensEstimate }: Pick<Ask, "baseDigest" | "promptTokensEstimate">, nodeId: NodeId): void {
    const index = this.#bases.get(baseDigest)?.index;
    const number = index?.nodeNumber(nodeId);
    if (index && number !== undefined) index.assume(number, -promptTokensEstimate);
  }

  /** What is assumed of a base's rows on a node is not what it was. */
  rowsChanged(baseDigest: BaseDigest, nodeId: NodeId): void {
    this.#bases.get(baseDigest)?.rowsChanged(nodeId);
  }

  #picksFor(baseDigest: BaseDigest): BasePicks {
    const known = this.#bases.get(baseDigest);
    if (known && known.index.deltaCount < DELTAS_MAX) return known;
    const picks = new BasePicks({
      baseDigest,
      assumedRows: (node) => this.#assumedRows(baseDigest, node),
      copies: (delta) => this.#snapshot?.plan?.copies.get(delta) ?? NOWHERE,
    });
    for (const node of this.#snapshot?.nodes.values() ?? []) picks.index.setNode(node);
    this.#bases.set(baseDigest, picks);
    return picks;
  }
}
