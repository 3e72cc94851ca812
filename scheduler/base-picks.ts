import type { BaseDigest, DeltaDigest, Millis, NodeId, NodeView } from "#kernel";
import { type Ask, type Decision, type HasRoom, REFUSALS, type Reason, type Refusal } from "./contract.ts";
import { type AnyAsk, ClusterIndex, NodePick, type PickView, PLAIN_BASE, type RoomLimits } from "./placement/index.ts";
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

/** When none of the usual places has room: so many of those with the fewest rows are compared. */
const ROOMY_MAX = 12;

/** Picks for one base. Looks at a dozen nodes where one of them will do, at those with the most room when not, at none when all are full. */
export class BasePicks {
  readonly index: ClusterIndex;
  readonly #pick: NodePick;
  readonly #order: number[] = [];
  readonly #roomy: number[] = [];
  /** Nodes of which the caller knows something else than it did. */
  readonly #stale = new Set<NodeId>();
  #turn = 0;
  #ask!: Ask;
  #hasRoom!: HasRoom;

  constructor({ baseDigest, assumedRows, copies }: BasePicksOptions) {
    const targets = (delta: number) => (delta === PLAIN_BASE ? NOWHERE : numbersOf(index, copies(index.digestOf(delta))));
    const index = new ClusterIndex({ baseDigest, assumedRows, targets });
    this.index = index;
    const view: PickView = {
      get ring() {
        return index.ring;
      },
      alive: (node) => index.alive(node) && this.#refusal(node) === undefined,
      holders: (delta) => index.holders(delta),
      targets: (delta) => index.targets(delta),
      outlook: (node, delta) => index.outlook(node, delta),
      glance: (node, delta) => index.glance(node, delta),
    };
    this.#pick = new NodePick(view);
  }

  /** What the caller assumes of a node's rows is asked for again before the next pick. */
  rowsChanged(nodeId: NodeId): void {
    this.#stale.add(nodeId);
  }

  pick(ask: Ask, hasRoom: HasRoom): Decision {
    const { index } = this;
    this.#ask = ask;
    this.#hasRoom = hasRoom;
    this.#refresh();
    const delta = ask.deltaDigest === undefined ? PLAIN_BASE : index.numberOf(ask.deltaDigest, ask.deltaRank);
    const chosen = this.#choose({
      delta,
      promptTokens: ask.promptTokensEstimate,
      patienceMs: PATIENCE_MS,
      needsSlot: ask.needsSlot ?? false,
    });
    if (chosen === undefined) return this.#none();
    index.assume(chosen, ask.promptTokensEstimate);
    const residency = usableTier(index.residency(chosen, delta));
    const reason = residency ?? this.#reason(chosen, delta);
    const deltaSources = residency === undefined && delta !== PLAIN_BASE ? this.#sources(chosen, delta) : [];
    return { kind: "node", node: index.nodeAt(chosen), residency, reason, deltaSources };
  }

  #refresh(): void {
    if (this.#stale.size === 0) return;
    for (const id of this.#stale) this.index.refreshRows(id);
    this.#stale.clear();
  }

  #choose(ask: AnyAsk): number | undefined {
    const { index } = this;
    let hasAny = false;
    for (const { limits, rowsLeast } of index.rooms.groups) hasAny ||= this.#refusalOf(limits, rowsLeast) === undefined;
    if (!hasAny) return undefined;
    const { delta } = ask;
    const usual = delta === PLAIN_BASE ? this.#pick.pickAny(ask) : this.#pick.pick({ ...ask, deltaHash: index.hashOf(delta) });
    return usual ?? this.#pick.pickOf(this.#withRoom(), ask);
  }

  /** A dozen nodes with the fewest rows, others at every call where there are more. */
  #withRoom(): readonly number[] {
    const roomy = this.#roomy;
    roomy.length = 0;
    this.#turn++;
    for (const group of this.index.rooms.groups) {
      const most = roomy.length + ROOMY_MAX;
      group.visit(this.#turn, (node, rows) => {
        if (this.#refusalOf(group.limits, rows) !== undefined) return true; // Those that follow have no fewer rows.
        if (!this.#isExcluded(node)) roomy.push(node);
        return roomy.length === most;
      });
    }
    return roomy;
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
    // Who failed this request, or was lost, would let the node that asks it wait for an answer.
    const having = places.filter((node) => node !== chosen && !this.#isExcluded(node) && index.residency(node, delta) !== undefined);
    return [...new Set(having)].map((node) => index.nodeAt(node).address);
  }

  /** What a ready node of the base lacks, or undefined. */
  #refusal(node: number): Refusal | undefined {
    const why = this.#refusalOf(this.index.loadOf(node), this.index.rowsAhead(node));
    return why !== "rank" && this.#isExcluded(node) ? "excluded" : why;
  }

  /** Likewise, of any that was not tried already. */
  #refusalOf(limits: RoomLimits, rows: number): Refusal | undefined {
    if ((this.#ask.deltaRank ?? 0) > limits.rankMax) return "rank";
    if (rows >= limits.rowsMax + limits.queueDepthMax) return "queue";
    return this.#hasRoom(limits, rows) ? undefined : "full";
  }

  #isExcluded(node: number): boolean {
    const { excludedNodes } = this.#ask;
    return excludedNodes.size > 0 && excludedNodes.has(this.index.nodeAt(node).id);
  }

  /** Nobody could be chosen: finds the nearest miss. */
  #none(): Decision {
    const { index } = this;
    let why: Refusal = index.servingCount > 0 ? "ready" : index.memberCount > 0 ? "base" : "membership";
    let roomElsewhere = false;
    for (const group of index.rooms.groups) {
      roomElsewhere ||= group.rowsLeast < Number.POSITIVE_INFINITY && this.#hasRoom(group.limits, group.rowsLeast);
      group.visit(0, (node) => {
        const lacks = this.#refusal(node) ?? "slot"; // Nothing else would have kept it from being chosen.
        if (REFUSALS.indexOf(lacks) > REFUSALS.indexOf(why)) why = lacks;
        return lacks !== "excluded"; // Those that follow lack no less.
      });
    }
    return { kind: "none", why, roomElsewhere };
  }
}

const NOWHERE: readonly number[] = [];

function numbersOf(index: ClusterIndex, ids: readonly NodeId[]): readonly number[] {
  return ids.length === 0 ? NOWHERE : ids.flatMap((id) => index.nodeNumber(id) ?? []);
}
