import {
  assert,
  type BaseDigest,
  type Bytes,
  type DeltaDigest,
  type Millis,
  type NodeId,
  type NodeView,
  type Tier,
  type Tokens,
} from "#kernel";
import { rowsAhead } from "../load.ts";
import { usableTier } from "../places.ts";
import { hashText } from "../rendezvous.ts";
import { createOutlook, type NodeOutlook } from "./estimate.ts";
import { HomeRing } from "./home-ring.ts";
import type { PickView } from "./node-pick.ts";

/** How fast a node is, as far as the caller has seen: reports say what a node does, not how long that takes. */
export interface NodeTiming {
  readonly stepMs: Millis;
  readonly meanRowMs: Millis;
  readonly promptTokenMs: Millis;
  /** Until a delta of that size is in its slot, from where it stands; undefined for nowhere on the node. */
  loadMs(from: Tier | undefined, sizeBytes: Bytes): Millis;
}

export interface ClusterIndexOptions {
  readonly baseDigest: BaseDigest;
  readonly timing: (node: NodeId) => NodeTiming;
  /** Where the last round wants a delta, by number. */
  readonly targets: (delta: number) => readonly number[];
}

interface IndexedNode {
  view: NodeView;
  readonly number: number;
  /** Sent since its report. */
  assumedRows: number;
  assumedPromptTokens: Tokens;
  slotsInUse: number;
}

/**
 * The cluster's nodes and deltas by number, kept up to date report by report, so that a pick touches its candidates only.
 * One per base. Not thread-safe; holds no clock.
 */
export class ClusterIndex implements PickView {
  readonly #options: ClusterIndexOptions;
  readonly #numbers = new Map<DeltaDigest, number>();
  readonly #digests: DeltaDigest[] = [];
  readonly #hashes: number[] = [];
  readonly #sizes: Bytes[] = [];
  readonly #holders: (number[] | undefined)[] = [];
  readonly #nodes: (IndexedNode | undefined)[] = [];
  readonly #nodeNumbers = new Map<NodeId, number>();
  #ring: HomeRing | undefined;
  readonly #outlook = createOutlook();

  constructor(options: ClusterIndexOptions) {
    this.#options = options;
  }

  get ring(): HomeRing {
    this.#ring ??= new HomeRing(
      this.#nodes.flatMap((node) => (node?.view.state === "ready" ? [{ node: node.number, hash: hashText(node.view.id) }] : [])),
    );
    return this.#ring;
  }

  /** The delta's number; the same for as long as the index lives. */
  numberOf(digest: DeltaDigest, sizeBytes: Bytes): number {
    const known = this.#numbers.get(digest);
    if (known !== undefined) return known;
    const number = this.#digests.length;
    this.#numbers.set(digest, number);
    this.#digests.push(digest);
    this.#hashes.push(hashText(digest));
    this.#sizes.push(sizeBytes);
    this.#holders.push(undefined);
    return number;
  }

  hashOf(delta: number): number {
    return this.#hashes[delta]!;
  }

  nodeAt(number: number): NodeView {
    const node = this.#nodes[number];
    assert(node, `no node ${number}`);
    return node.view;
  }

  /** Takes a node's newest view; what was assumed of it is void. */
  setNode(view: NodeView): void {
    const number = this.#nodeNumbers.get(view.id) ?? this.#nodes.length;
    const before = this.#nodes[number]?.view;
    this.#nodeNumbers.set(view.id, number);
    this.#nodes[number] = { view, number, assumedRows: 0, assumedPromptTokens: 0, slotsInUse: slotsInUse(view, this.#options.baseDigest) };
    if (before?.state !== view.state) this.#ring = undefined;
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

  /** A request is on its way to a node: counts until the node's next report. */
  assume(node: number, promptTokens: Tokens): void {
    const indexed = this.#nodes[node];
    if (!indexed) return;
    indexed.assumedRows++;
    indexed.assumedPromptTokens += promptTokens;
  }

  alive(node: number): boolean {
    const view = this.#nodes[node]?.view;
    return view?.state === "ready" && view.bases.has(this.#options.baseDigest);
  }

  holders(delta: number): readonly number[] {
    return this.#holders[delta] ?? NOWHERE;
  }

  targets(delta: number): readonly number[] {
    return this.#options.targets(delta);
  }

  /** One object, written anew at each call: read it before the next. */
  outlook(number: number, delta: number): NodeOutlook {
    const node = this.#nodes[number]!;
    const load = node.view.bases.get(this.#options.baseDigest)!;
    const timing = this.#options.timing(node.view.id);
    const residency = node.view.deltas.get(this.#digests[delta]!);
    const tier = usableTier(residency);
    const loadMs = tier === "slot" ? 0 : timing.loadMs(tier, this.#sizes[delta]!);
    const inUse = node.slotsInUse;
    const outlook = this.#outlook;
    outlook.rowsAhead = rowsAhead(load) + node.assumedRows;
    outlook.rowsMax = Math.max(1, load.rowsMax);
    outlook.promptTokensAhead = node.assumedPromptTokens;
    outlook.meanRowMs = timing.meanRowMs;
    outlook.promptTokenMs = timing.promptTokenMs;
    outlook.stepMs = timing.stepMs;
    outlook.loadMs = loadMs;
    outlook.loadCostMs = loadMs;
    outlook.slotsInUse = load.slotsMax > 0 ? inUse / load.slotsMax : 0;
    outlook.addedSlots = (residency?.references ?? 0) > 0 || load.slotsMax === 0 ? 0 : 1 / load.slotsMax;
    outlook.hasRoom = tier === "slot" || inUse < load.slotsMax;
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
      const delta = this.numberOf(digest, residency.sizeBytes);
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
