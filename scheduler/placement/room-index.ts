import type { BaseLoad } from "#kernel";

/** What decides how many rows a node may have ahead. */
export type RoomLimits = Pick<BaseLoad, "rowsMax" | "queueDepthMax" | "rankMax">;

/** Nodes with the same limits, by rows ahead: who has fewest is found without looking at the others. */
export class RoomGroup {
  readonly limits: RoomLimits;
  /** Nodes by rows ahead; beyond rows and queue together all are alike. */
  readonly #byRows: number[][];
  #rowsLeast = 0;

  constructor(limits: RoomLimits) {
    this.limits = limits;
    this.#byRows = Array.from({ length: limits.rowsMax + limits.queueDepthMax + 1 }, () => []);
  }

  /** Rows ahead of the node that has fewest; infinite when there is no node. */
  get rowsLeast(): number {
    const byRows = this.#byRows;
    while (this.#rowsLeast < byRows.length && byRows[this.#rowsLeast]!.length === 0) this.#rowsLeast++;
    return this.#rowsLeast < byRows.length ? this.#rowsLeast : Number.POSITIVE_INFINITY;
  }

  /** Nodes from the fewest rows on, each with its rows, until `isLast` says so; those with as many in turn, from another one on by `turn`. */
  visit(turn: number, isLast: (node: number, rows: number) => boolean): void {
    for (let rows = this.rowsLeast; rows < this.#byRows.length; rows++) {
      const nodes = this.#byRows[rows]!;
      for (let step = 0; step < nodes.length; step++) if (isLast(nodes[(turn + step) % nodes.length]!, rows)) return;
    }
  }

  /** The list where a node with so many rows stands. */
  nodesWith(rows: number): number[] {
    const at = Math.min(rows, this.#byRows.length - 1);
    this.#rowsLeast = Math.min(this.#rowsLeast, at);
    return this.#byRows[at]!;
  }
}

interface Seat {
  readonly nodes: number[];
  place: number;
}

/** The nodes that take requests, by what room they have: tells at once that all are full, and otherwise who is not. */
export class RoomIndex {
  readonly #groups = new Map<string, RoomGroup>();
  readonly #seats: (Seat | undefined)[] = [];

  /** Few: a cluster's nodes are of a few kinds. */
  get groups(): Iterable<RoomGroup> {
    return this.#groups.values();
  }

  set(node: number, limits: RoomLimits, rows: number): void {
    const nodes = this.#group(limits).nodesWith(rows);
    if (this.#seats[node]?.nodes === nodes) return;
    this.delete(node);
    this.#seats[node] = { nodes, place: nodes.length };
    nodes.push(node);
  }

  delete(node: number): void {
    const seat = this.#seats[node];
    if (!seat) return;
    const last = seat.nodes.pop()!;
    if (last !== node) {
      seat.nodes[seat.place] = last;
      this.#seats[last]!.place = seat.place;
    }
    this.#seats[node] = undefined;
  }

  #group({ rowsMax, queueDepthMax, rankMax }: RoomLimits): RoomGroup {
    const key = `${rowsMax} ${queueDepthMax} ${rankMax}`;
    const known = this.#groups.get(key);
    if (known) return known;
    const group = new RoomGroup({ rowsMax, queueDepthMax, rankMax });
    this.#groups.set(key, group);
    return group;
  }
}
