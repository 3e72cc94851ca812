import type { BaseDigest, BaseTarget, DeltaDigest, Millis, NodeId, NodeView, Residency, TenantId } from "#kernel";
import {
  ClusterIndex,
  DemandBook,
  type DrainCopy,
  demandWeight,
  drainPlan,
  type Move,
  nodeTarget,
  Placement,
  type Prefetch,
  prefetchPlan,
  rowsAhead,
  usableTier,
} from "#scheduler";

export interface PlacementLimits {
  /** Placement changes in a round. */
  readonly movesMax: number;
  /** Loads ahead of requests that a node is asked for in a round: they share links with loads that somebody waits for. */
  readonly loadsPerNodeMax: number;
  /** Without a request for so long a base needs no node at all. Infinite: it always needs one. */
  readonly idleMsMax: Millis;
}

/** Copies a leaving node hands over at most; the rest is loaded again by whoever asks. */
const HANDOVERS_MAX = 64;
/** Of a node whose capacity is not measured yet, in tokens per second: a small base on two cores. */
const NODE_RATE_UNKNOWN = 1000;

/** One base: what its deltas are asked for, and where they should be. Pure but for its own memory; time is an argument. */
export class BasePlacement {
  readonly index: ClusterIndex;
  readonly demand = new DemandBook();
  readonly #placement = new Placement();
  #hashes = new Uint32Array(1024);
  readonly #tenants: (TenantId | undefined)[] = [];
  #name = "";
  #askedAt: Millis;
  #nodesWanted: number | undefined;

  constructor(baseDigest: BaseDigest, now: Millis) {
    this.index = new ClusterIndex({ baseDigest, targets: (delta) => this.#placement.targets(delta) });
    this.#askedAt = now;
  }

  /** So many tokens were computed for a delta, which stands on the node that says so. */
  observe(digest: DeltaDigest, residency: Residency, tokens: number, now: Millis): void {
    if (tokens <= 0) return;
    const delta = this.#numberOf(digest, residency);
    this.demand.observe(delta, demandWeight(tokens, residency.rank), now);
    this.#askedAt = now;
  }

  /** Likewise for what was asked before this scheduler began to listen: a rate. */
  seed(digest: DeltaDigest, residency: Residency, tokensPerSecond: number, now: Millis): void {
    if (tokensPerSecond <= 0) return;
    this.demand.seed(this.#numberOf(digest, residency), demandWeight(tokensPerSecond, residency.rank), now);
  }

  setNode(view: NodeView): void {
    const load = view.bases.get(this.index.baseDigest);
    this.#name = load?.name ?? this.#name;
    if (load && rowsAhead(load) > 0) this.#askedAt = view.reportedAt;
    this.index.setNode(view);
  }

  /** Moves copies towards demand, a few at a time. Nodes that leave, by number, get nothing. */
  round(leaving: ReadonlySet<number>, now: Millis, { movesMax }: PlacementLimits): readonly Move[] {
    const nodes = this.#nodesWithout(leaving);
    if (nodes.length === 0) return [];
    const ring = leaving.size === 0 ? this.index.ring : this.index.ring.changed([], leaving);
    this.#keepHashes();
    return this.#placement.round(
      { ring, nodes, deltaHash: this.#hashes, demand: this.demand, nowMs: now, pinned: this.#pinned() },
      { nodeRate: this.nodeRate(), copiesMax: nodes.length, movesMax },
    );
  }

  /** What to load before anybody asks: deltas where they are wanted and not yet. */
  loads(leaving: ReadonlySet<number>, now: Millis, { loadsPerNodeMax }: PlacementLimits): readonly Prefetch[] {
    return prefetchPlan(
      [...this.#placement.placed()].map(([delta]) => delta),
      {
        demand: this.demand,
        nowMs: now,
        placesOf: (delta) => this.index.targets(delta).filter((node) => this.index.alive(node) && !leaving.has(node)),
        tierOf: (node, delta) => usableTier(this.index.residency(node, delta)),
        perNodeMax: loadsPerNodeMax,
      },
    );
  }

  /** What a leaving node should hand over, and where to; of what it has in slots and RAM. */
  handover(node: number, now: Millis): readonly DrainCopy[] {
    const others = this.#nodesWithout(new Set([node]));
    if (others.length === 0) return [];
    const resident = [...this.index.nodeAt(node).deltas].flatMap(([digest, residency]) =>
      residency.baseDigest === this.index.baseDigest && residency.tier !== "disk" ? [this.#numberOf(digest, residency)] : [],
    );
    const isHot = (other: number, delta: number) => (usableTier(this.index.residency(other, delta)) ?? "disk") !== "disk";
    return drainPlan(
      resident,
      (delta) => this.index.hashOf(delta),
      (delta) => others.some((other) => isHot(other, delta)),
      { ring: this.index.ring.changed([], new Set([node])), demand: this.demand, nowMs: now, copiesMax: HANDOVERS_MAX },
    );
  }

  /** Where deltas are wanted, as far as that is not their home alone. */
  copies(): readonly (readonly [DeltaDigest, readonly NodeId[]])[] {
    return [...this.#placement.placed()].map(([delta, nodes]) => [
      this.index.digestOf(delta),
      nodes.filter((node) => this.index.alive(node)).map((node) => this.index.nodeAt(node).id),
    ]);
  }

  target(now: Millis, { idleMsMax }: PlacementLimits): BaseTarget {
    const nodes = this.#nodesWithout(new Set());
    const nodeCount = nodes.length;
    let deltasRate = 0;
    for (const delta of this.demand.asked) deltasRate += this.demand.ratePerSecond(delta, now);
    // Also what asks for the plain base, which no book of deltas knows.
    const computed = nodes.reduce((sum, node) => sum + this.index.nodeAt(node).bases.get(this.index.baseDigest)!.tokensPerSecond, 0);
    const ratePerSecond = Math.max(deltasRate, computed);
    const idleMs = now - this.#askedAt;
    const nodesMin = Number.isFinite(idleMsMax) ? 0 : 1;
    const limits = { nodesMin, nodesMax: NODES_MAX, idleMsMax };
    // From what was wanted last, not from what is there: an autoscaler that lags must not be told another number for it.
    const from = this.#nodesWanted ?? nodeCount;
    this.#nodesWanted = nodeTarget({ ratePerSecond, nodeRate: this.nodeRate(), nodeCount: from, idleMs, ...limits });
    return { name: this.#name, nodesWanted: this.#nodesWanted, demand: ratePerSecond };
  }

  /** Weighted tokens per second that one node carries when full: the mean over those that have measured it. */
  nodeRate(): number {
    let [sum, count] = [0, 0];
    for (let node = 0; node < this.index.nodeCount; node++) {
      if (!this.index.alive(node)) continue;
      const { tokensPerSecondMax } = this.index.timingOf(node);
      if (tokensPerSecondMax === 0) continue;
      sum += tokensPerSecondMax;
      count++;
    }
    return count === 0 ? NODE_RATE_UNKNOWN : sum / count;
  }

  /** Nodes that have a delta on any tier, `host:port`: of its slots' holders, its places and its home, and one more that may. */
  carriers(delta: number, also?: number): readonly string[] {
    const { index } = this;
    const places = new Set([...this.#places(delta), ...(also === undefined ? [] : [also])]);
    return [...places].filter((node) => index.residency(node, delta) !== undefined).map((node) => index.nodeAt(node).address);
  }

  /** Whether one of those has it in a slot or in RAM, other than `node`. */
  isFastBeside(node: number, delta: number): boolean {
    const isFast = (place: number) => (usableTier(this.index.residency(place, delta)) ?? "disk") !== "disk";
    return this.#places(delta).some((place) => place !== node && isFast(place));
  }

  /** Whose it is; undefined before it was seen in a report. */
  tenantOf(delta: number): TenantId | undefined {
    return this.#tenants[delta];
  }

  #numberOf(digest: DeltaDigest, { rank, tenantId }: Residency): number {
    const delta = this.index.numberOf(digest, rank);
    this.#tenants[delta] = tenantId;
    return delta;
  }

  #nodesWithout(leaving: ReadonlySet<number>): readonly number[] {
    const nodes: number[] = [];
    for (let node = 0; node < this.index.nodeCount; node++) if (this.index.alive(node) && !leaving.has(node)) nodes.push(node);
    return nodes;
  }

  #places(delta: number): readonly number[] {
    const { index } = this;
    const home: number[] = [];
    const found = index.ring.candidates(index.hashOf(delta), CARRIERS_MAX, home);
    return [...index.holders(delta).slice(0, CARRIERS_MAX), ...index.targets(delta), ...home.slice(0, found)];
  }

  /** Those that are pinned somewhere: an operator has said where. */
  #pinned(): ReadonlySet<number> {
    const pinned = new Set<number>();
    for (const [delta] of this.#placement.placed()) {
      for (const node of this.index.holders(delta)) if (this.index.residency(node, delta)?.pinned) pinned.add(delta);
    }
    return pinned;
  }

  #keepHashes(): void {
    const count = this.index.deltaCount;
    if (count > this.#hashes.length) this.#hashes = new Uint32Array(2 ** Math.ceil(Math.log2(count)));
    for (let delta = 0; delta < count; delta++) this.#hashes[delta] = this.index.hashOf(delta);
  }
}

/** Of each kind of place, so many are looked at: one that has it is enough. */
const CARRIERS_MAX = 3;
/** No cluster of one base is larger. */
const NODES_MAX = 10_000;
