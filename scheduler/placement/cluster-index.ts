import {
  assert,
  type BaseDigest,
  type BaseLoad,
  type BaseTiming,
  type DeltaDigest,
  type NodeId,
  type NodeView,
  type Residency,
  type Tokens,
} from "#kernel";
import { demandWeight } from "../demand/index.ts";
import { hashText } from "../hash.ts";
import { rowsAhead } from "../load.ts";
import { usableTier } from "../residency.ts";
import { createOutlook, type NodeOutlook, type WritableOutlook } from "./estimate.ts";
import { HomeRing } from "./home-ring.ts";
import type { PickView } from "./node-pick.ts";
import { isComplete, loadMs, TimingMeans } from "./node-timing.ts";
import { RoomIndex } from "./room-index.ts";

export interface ClusterIndexOptions {
  readonly baseDigest: BaseDigest;
  /** Where the last round wants a delta, by number. Default: nowhere but home. */
  readonly targets?: (delta: number) => readonly number[];
  /**
   * What the caller knows of a node's rows that its report does not show: sent since, or ended. Asked with each report, and when the caller says
   * that it has changed. Default: nothing.
   */
  readonly assumedRows?: (node: NodeView) => number;
}

interface IndexedNode {
  readonly view: NodeView;
  readonly number: number;
  /** Undefined when it does not have the base. */
  readonly load: BaseLoad | undefined;
  /** Ready, and has the base. */
  readonly alive: boolean;
  /** Undefined when it has not measured all of it: then the rest is what others have measured by now. */
  readonly timing: BaseTiming | undefined;
  readonly slotsInUse: number;
  /** Numbers of the deltas that it has in slots, or loads into them. */
  readonly held: readonly number[];
  assumedRows: number;
  /** Sent since its report. */
  assumedPromptTokens: Tokens;
}

/** No delta: what asks for the plain base. */
export const PLAIN_BASE = -1;

/**
 * The cluster's nodes and deltas by number, kept up to date report by report, so that a pick touches its candidates only.
 * One per base. Not thread-safe; holds no clock.
 */
export class ClusterIndex implements PickView {
  readonly baseDigest: BaseDigest;
  readonly #targets: (delta: number) => readonly number[];
  readonly #assumedRows: (node: NodeView) => number;
  readonly #numbers = new Map<DeltaDigest, number>();
  readonly #digests: DeltaDigest[] = [];
  readonly #hashes: number[] = [];
  readonly #ranks: number[] = [];
  readonly #holders: (number[] | undefined)[] = [];
  readonly #nodes: (IndexedNode | undefined)[] = [];
  readonly #nodeNumbers = new Map<NodeId, number>();
  /** Those that take requests for the base. */
  readonly rooms = new RoomIndex();
  readonly #timings = new TimingMeans();
  #servingCount = 0;
  #ring = new HomeRing([]);
  /** What the ring does not show yet. */
  readonly #come = new Set<number>();
  readonly #gone = new Set<number>();
  /** By delta: the pass that last saw it held, negative when it saw it held still. */
  readonly #seen: number[] = [];
  #pass = 0;
  readonly #outlook = createOutlook();

  constructor({ baseDigest, targets = () => NOWHERE, assumedRows = () => 0 }: ClusterIndexOptions) {
    this.baseDigest = baseDigest;
    this.#targets = targets;
    this.#assumedRows = assumedRows;
  }

  /** Of the nodes that take requests for the base. The same until one comes or goes. */
  get ring(): HomeRing {
    if (this.#come.size + this.#gone.size > 0) {
      const come = Array.from(this.#come, (node) => ({ node, hash: hashText(this.nodeAt(node).id) }));
      this.#ring = this.#ring.changed(come, this.#gone);
      this.#come.clear();
      this.#gone.clear();
    }
    return this.#ring;
  }

  /** Nodes that are there, in whatever state. */
  get memberCount(): number {
    return this.#nodeNumbers.size;
  }

  /** Those of them that have the base. */
  get servingCount(): number {
    return this.#servingCount;
  }

  /** One above the largest number of a delta, and of a node. */
  get deltaCount(): number {
    return this.#digests.length;
  }

  get nodeCount(): number {
    return this.#nodes.length;
  }

  /** The delta's number; the same for as long as the index lives. `rank` where known. */
  numberOf(digest: DeltaDigest, rank = 0): number {
    const known = this.#numbers.get(digest);
    if (known !== undefined) {
      if (rank > 0) this.#ranks[known] = rank;
      return known;
    }
    const number = this.#digests.length;
    this.#numbers.set(digest, number);
    this.#digests.push(digest);
    this.#hashes.push(hashText(digest));
    this.#ranks.push(rank);
    this.#seen.push(0);
    this.#holders.push(undefined);
    return number;
  }

  digestOf(delta: number): DeltaDigest {
    return this.#digests[delta]!;
  }

  hashOf(delta: number): number {
    return this.#hashes[delta]!;
  }

  rankOf(delta: number): number {
    return this.#ranks[delta]!;
  }

  nodeAt(number: number): NodeView {
    const node = this.#nodes[number];
    assert(node, `no node ${number}`);
    return node.view;
  }

  /** Undefined for one that is not there. */
  nodeNumber(id: NodeId): number | undefined {
    return this.#nodeNumbers.get(id);
  }

  /** Takes a node's newest view; what was assumed of its prompts is void. */
  setNode(view: NodeView): void {
    const number = this.#nodeNumbers.get(view.id) ?? this.#nodes.length;
    const before = this.#nodes[number];
    this.#nodeNumbers.set(view.id, number);
    const load = view.bases.get(this.baseDigest);
    const held = before?.view.deltas === view.deltas ? before.held : this.#hold(number, before?.held ?? NOWHERE, view.deltas);
    const timing = isComplete(load?.timing) ? load.timing : undefined;
    const node = {
      ...{ view, number, load, held, alive: view.state === "ready" && load !== undefined },
      ...{ timing, slotsInUse: load?.timing?.slotsInUse ?? this.#slotsInUse(view), assumedRows: 0, assumedPromptTokens: 0 },
    };
    this.#nodes[number] = node;
    this.#timings.remove(before?.load?.timing);
    this.#timings.add(load?.timing);
    this.#servingCount += Number(load !== undefined) - Number(before?.load !== undefined);
    this.#setAlive(number, before?.alive ?? false, node.alive);
    this.refreshRows(view.id);
  }

  removeNode(id: NodeId): void {
    const number = this.#nodeNumbers.get(id);
    if (number === undefined) return;
    const { alive, held, load } = this.#nodes[number]!;
    this.#hold(number, held, new Map());
    this.#setAlive(number, alive, false);
    this.rooms.delete(number);
    this.#timings.remove(load?.timing);
    this.#servingCount -= Number(load !== undefined);
    this.#nodes[number] = undefined; // Its number is not used again: placements may still name it.
    this.#nodeNumbers.delete(id);
  }

  /** Asks anew what is assumed of a node's rows. */
  refreshRows(id: NodeId): void {
    const number = this.#nodeNumbers.get(id);
    const node = number === undefined ? undefined : this.#nodes[number];
    if (!node) return;
    if (node.load) node.assumedRows = this.#assumedRows(node.view);
    if (node.load && node.alive) this.rooms.set(node.number, node.load, this.rowsAhead(node.number));
    else this.rooms.delete(node.number);
  }

  /** A request is on its way to a node: its prompt counts until the node's next report, or until it is taken off again with a minus. */
  assume(node: number, promptTokens: Tokens): void {
    const indexed = this.#nodes[node];
    if (indexed) indexed.assumedPromptTokens += promptTokens;
  }

  alive(node: number): boolean {
    return this.#nodes[node]?.alive ?? false;
  }

  /** Of a node that has the base: what it may have. */
  loadOf(node: number): BaseLoad {
    return this.#nodes[node]!.load!;
  }

  /** Likewise: reported and assumed. */
  rowsAhead(node: number): number {
    const { load, assumedRows } = this.#nodes[node]!;
    return Math.max(0, rowsAhead(load!) + assumedRows);
  }

  holders(delta: number): readonly number[] {
    return this.#holders[delta] ?? NOWHERE;
  }

  targets(delta: number): readonly number[] {
    return this.#targets(delta);
  }

  residency(number: number, delta: number): Residency | undefined {
    return delta === PLAIN_BASE ? undefined : this.#nodes[number]?.view.deltas.get(this.#digests[delta]!);
  }

  timingOf(number: number): BaseTiming {
    return this.#timingOf(this.#nodes[number]!);
  }

  /** As if the delta were in a slot that rows use already: no look at what the node holds. One object, written anew at each call: read it before the next. */
  glance(number: number, delta: number): NodeOutlook {
    return this.#glance(number, delta);
  }

  /** Likewise one object, the same. */
  outlook(number: number, delta: number): NodeOutlook {
    const outlook = this.#glance(number, delta);
    if (delta === PLAIN_BASE) return outlook;
    const node = this.#nodes[number]!;
    const timing = this.#timingOf(node);
    const { slotsMax } = node.load!;
    const residency = this.residency(number, delta);
    const tier = usableTier(residency);
    outlook.loadMs = loadMs(timing, tier);
    outlook.isLoading = tier !== "slot" && residency?.tier === "slot" && residency.state === "loading";
    outlook.loadCostMs = outlook.loadMs;
    outlook.addedSlots = (residency?.references ?? 0) === 0 && slotsMax > 0 ? 1 / slotsMax : 0;
    outlook.hasRoom = tier === "slot" || timing.slotsInUse < slotsMax;
    return outlook;
  }

  #glance(number: number, delta: number): WritableOutlook {
    const node = this.#nodes[number]!;
    const { assumedRows, assumedPromptTokens } = node;
    const load = node.load!;
    const timing = this.#timingOf(node);
    const outlook = this.#outlook;
    outlook.rowsAhead = Math.max(0, rowsAhead(load) + assumedRows);
    outlook.rowsMax = Math.max(1, load.rowsMax);
    outlook.promptTokensAhead = Math.max(0, timing.promptTokensWaiting + assumedPromptTokens);
    outlook.meanRowMs = timing.meanRowMs;
    outlook.promptTokenMs = timing.promptTokenMs;
    outlook.stepMs = Math.max(0, timing.stepMs + assumedRows * timing.rowMs);
    outlook.starvedLoads = timing.starvedLoads;
    outlook.addedStepMs = timing.rowMs * (delta === PLAIN_BASE ? 1 : demandWeight(1, this.#ranks[delta]!));
    outlook.slotsInUse = load.slotsMax > 0 ? timing.slotsInUse / load.slotsMax : 0;
    [outlook.loadMs, outlook.isLoading, outlook.loadCostMs, outlook.addedSlots, outlook.hasRoom] = [0, false, 0, 0, true];
    return outlook;
  }

  #timingOf({ timing, load, slotsInUse }: IndexedNode): BaseTiming {
    return timing ?? this.#timings.complete(load?.timing, slotsInUse);
  }

  #setAlive(number: number, was: boolean, is: boolean): void {
    if (was === is) return;
    const [to, from] = is ? [this.#come, this.#gone] : [this.#gone, this.#come];
    if (!from.delete(number)) to.add(number);
  }

  /** Brings the holders up to what a node has in slots now; gives that. */
  #hold(number: number, before: readonly number[], after: NodeView["deltas"]): readonly number[] {
    const seen = this.#seen;
    const pass = ++this.#pass;
    for (const delta of before) seen[delta] = pass;
    const held: number[] = [];
    for (const [digest, { tier, rank, baseDigest }] of after) {
      if (tier !== "slot" || baseDigest !== this.baseDigest) continue;
      const delta = this.numberOf(digest, rank);
      held.push(delta);
      if (seen[delta] === pass) seen[delta] = -pass;
      else this.#addHolder(delta, number);
    }
    for (const delta of before) {
      if (seen[delta] !== pass) continue;
      const holders = this.#holders[delta]!;
      holders.splice(holders.indexOf(number), 1);
    }
    return held;
  }

  #addHolder(delta: number, number: number): void {
    const holders = this.#holders[delta];
    if (holders) holders.push(number);
    else this.#holders[delta] = [number];
  }

  #slotsInUse({ deltas }: NodeView): number {
    let count = 0;
    for (const { tier, references, baseDigest } of deltas.values())
      if (tier === "slot" && references > 0 && baseDigest === this.baseDigest) count++;
    return count;
  }
}

const NOWHERE: readonly number[] = [];
