import type { Millis, Tokens } from "#kernel";
import { mixHash } from "../hash.ts";
import { costToOthersMs, firstTokenMs, type NodeOutlook, waitsForSlot } from "./estimate.ts";
import type { HomeRing } from "./home-ring.ts";

/** What a pick looks at; a node costs nothing unless it is a candidate. */
export interface PickView {
  readonly ring: HomeRing;
  alive(node: number): boolean;
  /** Nodes that have the delta in a slot, or are loading it into one. */
  holders(delta: number): readonly number[];
  /** Where the last round wants it; empty for its home on the ring. */
  targets(delta: number): readonly number[];
  outlook(node: number, delta: number): NodeOutlook;
  /** The same at best, as if the delta were in a slot that rows use: where that is cheaper to tell, most candidates are not looked at any closer. */
  glance?(node: number, delta: number): NodeOutlook;
}

/** What any node could be asked. */
export interface AnyAsk {
  readonly delta: number;
  readonly promptTokens: Tokens;
  /** A first token later than this is late: only then may the request leave the delta's own nodes. */
  readonly patienceMs: Millis;
  /** Not where the delta would have to wait for a slot. */
  readonly needsSlot?: boolean;
}

export interface PickAsk extends AnyAsk {
  readonly deltaHash: number;
}

/** Beside its home: where it may spill, always the same, so that what it loads there is used again. */
const SPILL_MAX = 2;
/** When all of those are late: how far along its order it may go, and how many others, drawn anew each time, it may look at. */
const LAST_RESORT_MAX = 8;
const ANYONE_MAX = 8;

/** Who is late everywhere may load its delta on one more node for others' sake too, if that gives a first token within so many times its patience: in longer queues a load gains nothing. */
const WORTH_LOADING = 4;

/** A delta that is on more nodes has so many of them looked at, others at every pick: as good as all, by the power of few choices. */
const HOLDERS_MAX = 12;

/**
 * The node with the least cost among those that are a place for the delta: where it is in a slot, where the last round wants it, its home and two
 * more in its order; only when all of them are late, a few more of that order and of the others. Looks at a few dozen nodes, however many there are. Ties go to the first
 * in order. Undefined when nobody is alive, or has a slot for who needs one.
 */
export class NodePick {
  readonly #view: PickView;
  readonly #order: number[] = [];
  #turn = 0;
  #best: number | undefined;
  #bestCost: Millis = 0;
  #bestFirstTokenMs: Millis = 0;
  /** The one with the least cost as it is counted when all are late. */
  #lateBest: number | undefined;
  #lateBestCost: Millis = 0;
  #lateBestFirstTokenMs: Millis = 0;

  constructor(view: PickView) {
    this.#view = view;
  }

  pick(ask: PickAsk): number | undefined {
    const view = this.#view;
    this.#begin();
    this.#considerSome(view.targets(ask.delta), ask);
    const places = view.ring.candidates(ask.deltaHash, 1 + SPILL_MAX, this.#order);
    for (let index = 0; index < places; index++) this.#consider(this.#order[index]!, ask);
    this.#considerSome(view.holders(ask.delta), ask);
    if (this.#best !== undefined && this.#bestFirstTokenMs <= ask.patienceMs) return this.#best;
    const farther = view.ring.candidates(ask.deltaHash, LAST_RESORT_MAX, this.#order);
    for (let index = places; index < farther; index++) this.#consider(this.#order[index]!, ask);
    const others = view.ring.candidates(mixHash(++this.#turn), ANYONE_MAX, this.#order);
    for (let index = 0; index < others; index++) this.#consider(this.#order[index]!, ask);
    return this.#lateBestFirstTokenMs <= WORTH_LOADING * ask.patienceMs ? this.#lateBest : this.#best;
  }

  /** The node with the least cost among a dozen, others at every pick: for who is at home nowhere. */
  pickAny(ask: AnyAsk): number | undefined {
    this.#begin();
    const others = this.#view.ring.candidates(mixHash(++this.#turn), HOLDERS_MAX, this.#order);
    for (let index = 0; index < others; index++) this.#consider(this.#order[index]!, ask);
    return this.#best;
  }

  /** The one with the least cost of these. */
  pickOf(nodes: readonly number[], ask: AnyAsk): number | undefined {
    this.#begin();
    for (const node of nodes) this.#consider(node, ask);
    return this.#best;
  }

  #begin(): void {
    this.#best = undefined;
    this.#bestCost = Number.POSITIVE_INFINITY;
    this.#lateBest = undefined;
    this.#lateBestCost = Number.POSITIVE_INFINITY;
  }

  #considerSome(nodes: readonly number[], ask: AnyAsk): void {
    if (nodes.length <= HOLDERS_MAX) {
      for (const node of nodes) this.#consider(node, ask);
      return;
    }
    for (let index = 0; index < HOLDERS_MAX; index++) this.#consider(nodes[(this.#turn + index) % nodes.length]!, ask);
    this.#turn = (this.#turn + HOLDERS_MAX) % nodes.length;
  }

  #consider(node: number, ask: AnyAsk): void {
    if (!this.#view.alive(node)) return;
    const glance = this.#view.glance?.(node, ask.delta); // Without a load, so the same when late; and the late best is never dearer than the best.
    if (glance && firstTokenMs(glance, ask.promptTokens) + costToOthersMs(glance) >= this.#bestCost) return;
    const outlook = this.#view.outlook(node, ask.delta);
    if (ask.needsSlot && waitsForSlot(outlook)) return;
    const ownMs = firstTokenMs(outlook, ask.promptTokens);
    const lateCost = ownMs + costToOthersMs(outlook, true);
    if (lateCost < this.#lateBestCost) [this.#lateBest, this.#lateBestCost, this.#lateBestFirstTokenMs] = [node, lateCost, ownMs];
    const cost = ownMs + costToOthersMs(outlook);
    if (cost >= this.#bestCost) return;
    this.#best = node;
    this.#bestCost = cost;
    this.#bestFirstTokenMs = ownMs;
  }
}
