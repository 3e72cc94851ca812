import {
  assert,
  type BaseDigest,
  type BaseTiming,
  type DeltaDigest,
  type NodeId,
  type NodeView,
  type Residency,
  type Tokens,
} from "#kernel";
import { demandWeight } from "../demand/index.ts";
import { rowsAhead } from "../load.ts";
import { hashText } from "../rendezvous.ts";
import { usableTier } from "../residency.ts";
import { createOutlook, type NodeOutlook } from "./estimate.ts";
import { HomeRing } from "./home-ring.ts";
import type { PickView } from "./node-pick.ts";
import { completeTiming, loadMs } from "./node-timing.ts";

export interface ClusterIndexOptions {
  readonly baseDigest: BaseDigest;
  /** Where the last round wants a delta, by number. Default: nowhere but home. */
  readonly targets?: (delta: number) => readonly number[];
  /** What the caller knows of a node's rows that its report does not show: sent since, or ended. Default: nothing. */
  readonly assumedRows?: (node: NodeView) => number;
}

interface IndexedNode {
  readonly view: NodeView;
  readonly number: number;
  readonly timing: BaseTiming;
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
  #ring: HomeRing | undefined;
  readonly #outlook = createOutlook();

  constructor({ baseDigest, targets = () => NOWHERE, assumedRows = () => 0 }: ClusterIndexOptions) {
    this.baseDigest = baseDigest;
    this.#targets = targets;
    this.#assumedRows = assumedRows;
  }

  /** Of the nodes that take requests for the base. */
  get ring(): HomeRing {
    this.#ring ??= new HomeRing(
      this.#nodes.flatMap((node) => (node && this.alive(node.number) ? [{ node: node.number, hash: hashText(node.view.id) }] : [])),
    );
    return this.#ring;
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

  *nodes(): Generator<NodeView> {
    for (const node of this.#nodes) if (node) yield node.view;
  }

  /** Undefined for one that is not there. */
  nodeNumber(id: NodeId): number | undefined {
    return this.#nodeNumbers.get(id);
  }

  /** Takes a node's newest view; what was assumed of it is void. */
  setNode(view: NodeView): void {
    const number = this.#nodeNumbers.get(view.id) ?? this.#nodes.length;
    const before = this.#nodes[number]?.view;
    const wasAlive = this.alive(number);
    this.#nodeNumbers.set(view.id, number);
    const timing = view.bases.get(this.baseDigest)?.timing;
    this.#nodes[number] = {
      ...{ view, number, assumedPromptTokens: 0 },
      timing: completeTiming(timing, timing ? timing.slotsInUse : slotsInUse(view, this.baseDigest)),
    };
    if (this.alive(number) !== wasAlive) this.#ring = undefined;
    if (before?.deltas !== view.deltas) this.#hold(number, before, view);
  }

  removeNode(id: NodeId): void {
    const number = this.#nodeNumbers.get(id);
    if (number === undefined) return;
    this.#hold(number, this.#nodes[number]!.view, undefined);
    this.#nodes[number] = undefined; // Its number is not used again: placements may still name it.
    this.#nodeNumbers.delete(id);
    this.#ring = undefined;
  }

  /** A request is on its way to a node: its prompt counts until the node's next report, or until it is taken off again with a minus. */
  assume(node: number, promptTokens: Tokens): void {
    const indexed = this.#nodes[node];
    if (indexed) indexed.assumedPromptTokens += promptTokens;
  }

  alive(node: number): boolean {
    const view = this.#nodes[node]?.view;
    return view?.state === "ready" && view.bases.has(this.baseDigest);
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
    return this.#nodes[number]!.timing;
  }

  /** One object, written anew at each call: read it before the next. */
  outlook(number: number, delta: number): NodeOutlook {
    const { view, timing, assumedPromptTokens } = this.#nodes[number]!;
    const load = view.bases.get(this.baseDigest)!;
    const outlook = this.#outlook;
    const assumedRows = this.#assumedRows(view);
    outlook.rowsAhead = Math.max(0, rowsAhead(load) + assumedRows);
    outlook.rowsMax = Math.max(1, load.rowsMax);
    outlook.promptTokensAhead = Math.max(0, timing.promptTokensWaiting + assumedPromptTokens);
    outlook.meanRowMs = timing.meanRowMs;
    outlook.promptTokenMs = timing.promptTokenMs;
    outlook.stepMs = Math.max(0, timing.stepMs + assumedRows * timing.rowMs);
    outlook.starvedLoads = timing.starvedLoads;
    const residency = this.residency(number, delta);
    const isPlain = delta === PLAIN_BASE;
    const tier = isPlain ? "slot" : usableTier(residency);
    const takesSlot = !isPlain && (residency?.references ?? 0) === 0 && load.slotsMax > 0;
    outlook.addedStepMs = timing.rowMs * (isPlain ? 1 : demandWeight(1, this.#ranks[delta]!));
    outlook.loadMs = loadMs(timing, tier);
    outlook.loadCostMs = outlook.loadMs;
    outlook.slotsInUse = load.slotsMax > 0 ? timing.slotsInUse / load.slotsMax : 0;
    outlook.addedSlots = takesSlot ? 1 / load.slotsMax : 0;
    outlook.hasRoom = tier === "slot" || timing.slotsInUse < load.slotsMax;
    return outlook;
  }

  #hold(number: number, before: NodeView | undefined, after: NodeView | undefined): void {
    for (const [digest, residency] of before?.deltas ?? []) {
      if (residency.tier !== "slot" || after?.deltas.get(digest)?.tier === "slot") continue;
      const holders = this.#holders[this.#numbers.get(digest)!]!;
      holders.splice(holders.indexOf(number), 1);
    }
    for (const [digest, residency] of after?.deltas ?? []) {
      if (residency.tier !== "slot" || before?.deltas.get(digest)?.tier === "slot") continue;
      const delta = this.numberOf(digest, residency.rank);
      const holders = this.#holders[delta];
      if (holders) holders.push(number);
      else this.#holders[delta] = [number];
    }
  }
}

function slotsInUse(view: NodeView, baseDigest: BaseDigest): number {
  let count = 0;
  for (const { tier, references, baseDigest: base } of view.deltas.values())
    if (tier === "slot" && references > 0 && base === baseDigest) count++;
  return count;
}

const NOWHERE: readonly number[] = [];
