import type { BaseDigest, BaseLoad, DeltaDigest, Millis, NodeId, NodeView } from "#kernel";
import { type Ask, type Decision, type HasRoom, REFUSALS, type Reason, type Refusal } from "./contract.ts";
import { rowsAhead } from "./load.ts";
import { ClusterIndex, NodePick, type PickView, PLAIN_BASE } from "./placement/index.ts";
import { usableTier } from "./residency.ts";

export interface BasePicksOptions {
  readonly baseDigest: BaseDigest;
  readonly assumedRows: (node: NodeView) => number;
  /** Where the last round wants a delta. */
  readonly copies: (delta: DeltaDigest) => readonly NodeId[];
}

/** A first token later than this is late: then a request may leave its delta's own nodes. A quarter of the second that people notice. */
const PATIENCE_MS: Millis = 250;
/** Of a delta's places, how many are asked whether another node can fetch it from there. */
const SOURCE_PLACES = 3;

/** Picks for one base. Looks at a dozen nodes where one of them will do, at all of them only when not. */
export class BasePicks {
  readonly index: ClusterIndex;
  readonly #assumedRows: BasePicksOptions["assumedRows"];
  readonly #pick: NodePick;
  readonly #order: number[] = [];
  #ask!: Ask;
  #hasRoom!: HasRoom;

  constructor({ baseDigest, assumedRows, copies }: BasePicksOptions) {
    const targets = (delta: number) => (delta === PLAIN_BASE ? [] : numbersOf(index, copies(index.digestOf(delta))));
    const index = new ClusterIndex({ baseDigest, assumedRows, targets });
    this.index = index;
    this.#assumedRows = assumedRows;
    const view: PickView = {
      get ring() {
        return index.ring;
      },
      alive: (node) => index.alive(node) && this.#refusal(index.nodeAt(node)) === undefined,
      holders: (delta) => index.holders(delta),
      targets: (delta) => index.targets(delta),
      outlook: (node, delta) => index.outlook(node, delta),
    };
    this.#pick = new NodePick(view);
  }

  pick(ask: Ask, hasRoom: HasRoom): Decision {
    const { index } = this;
    this.#ask = ask;
    this.#hasRoom = hasRoom;
    const delta = ask.deltaDigest === undefined ? PLAIN_BASE : index.numberOf(ask.deltaDigest, ask.deltaRank);
    const asked = { delta, promptTokens: ask.promptTokensEstimate, patienceMs: PATIENCE_MS };
    const chosen =
      (delta === PLAIN_BASE ? this.#pick.pickAny(asked) : this.#pick.pick({ ...asked, deltaHash: index.hashOf(delta) })) ??
      this.#pick.pickAmong(index.nodeCount, asked);
    if (chosen === undefined) return this.#none();
    index.assume(chosen, ask.promptTokensEstimate);
    const residency = usableTier(index.residency(chosen, delta));
    const reason = residency ?? this.#reason(chosen, delta);
    const deltaSources = residency === undefined && delta !== PLAIN_BASE ? this.#sources(chosen, delta) : [];
    return { kind: "node", node: index.nodeAt(chosen), residency, reason, deltaSources };
  }

  #reason(chosen: number, delta: number): Reason {
    if (delta === PLAIN_BASE) return "base";
    if (this.index.targets(delta).includes(chosen)) return "copy";
    const found = this.index.ring.candidates(this.index.hashOf(delta), 1, this.#order);
    return found > 0 && this.#order[0] === chosen ? "home" : "spill";
  }

  #sources(chosen: number, delta: number): readonly string[] {
    const { index } = this;
    const found = index.ring.candidates(index.hashOf(delta), SOURCE_PLACES, this.#order);
    const places = [...index.holders(delta).slice(0, SOURCE_PLACES), ...index.targets(delta), ...this.#order.slice(0, found)];
    const having = places.filter((node) => node !== chosen && index.residency(node, delta) !== undefined);
    return [...new Set(having)].map((node) => index.nodeAt(node).address);
  }

  /** What a node of the base lacks, or undefined. */
  #refusal(node: NodeView): Refusal | undefined {
    const load = node.bases.get(this.index.baseDigest)!;
    const { deltaRank = 0, excludedNodes } = this.#ask;
    if (node.state !== "ready") return "ready";
    if (deltaRank > load.rankMax) return "rank";
    if (excludedNodes.has(node.id)) return "excluded";
    const rows = this.#rows(node, load);
    if (rows >= load.rowsMax + load.queueDepthMax) return "queue";
    return this.#hasRoom(load, rows) ? undefined : "full";
  }

  #rows(node: NodeView, load: BaseLoad): number {
    return Math.max(0, rowsAhead(load) + this.#assumedRows(node));
  }

  /** Nobody could be chosen: looks at everybody for the nearest miss. */
  #none(): Decision {
    let nearest = 0;
    let roomElsewhere = false;
    for (const node of this.index.nodes()) {
      const load = node.bases.get(this.index.baseDigest);
      const why = load ? this.#refusal(node) : "base";
      if (why !== undefined) nearest = Math.max(nearest, REFUSALS.indexOf(why));
      if (load && node.state === "ready") roomElsewhere ||= this.#hasRoom(load, this.#rows(node, load));
    }
    return { kind: "none", why: REFUSALS[nearest]!, roomElsewhere };
  }
}

function numbersOf(index: ClusterIndex, ids: readonly NodeId[]): readonly number[] {
  return ids.flatMap((id) => index.nodeNumber(id) ?? []);
}
