import type { Millis } from "#kernel";
import type { DemandBook } from "../demand/index.ts";
import type { HomeRing } from "./home-ring.ts";
import { type ReplicaLimits, replicaCount } from "./replica-count.ts";

export interface RoundOptions extends Omit<ReplicaLimits, "ratePerCopy"> {
  /** Weighted tokens per second that one node carries when full. */
  readonly nodeRate: number;
  /** Placement changes in a round; what is left over comes in the next. */
  readonly movesMax: number;
}

export interface RoundInput {
  readonly ring: HomeRing;
  readonly nodes: readonly number[];
  readonly deltaHash: Uint32Array;
  readonly demand: DemandBook;
  readonly nowMs: Millis;
  /** Deltas that stay where they are, whatever the load; they may get copies. */
  readonly pinned?: ReadonlySet<number>;
}

export interface Move {
  readonly delta: number;
  /** Undefined for a copy more. */
  readonly from: number | undefined;
  /** Undefined for a copy less. */
  readonly to: number | undefined;
}

/** Changes in a round, unless told otherwise: a load each, and a round comes every second. */
export const MOVES_MAX = 16;
/** A copy should leave its node room for others. */
const COPY_SHARE = 0.5;
/** Up to so far along its order a delta may be placed. */
const CANDIDATES = 8;
/** A node above the mean by less is left alone; a move must lower the larger of the two loads by this share of the mean, or things would never rest. */
const TOLERANCE = 0.2;
/** A node that is filled to less has nothing to gain from being relieved. */
const BUSY_SHARE = 0.25;
const GAIN_MIN = 0.05;

/**
 * Where deltas should be, as far as that differs from their home on the ring: copies of hot ones, and deltas moved away from nodes that would
 * have more than their share. Starts from the last placement and changes as little as it must (min-cost improvement: the cost is the larger load
 * of the two nodes, the threshold is what staying is worth), so that equal demand gives no moves. Soft state: lost, it is found again from demand.
 */
export class Placement {
  /** By delta, only where it differs from the home on the ring. */
  readonly #targets = new Map<number, readonly number[]>();
  readonly #order: number[] = [];
  /** By delta, -1 for not looked up yet: true of `#homesRing` only. */
  #homes = new Int32Array(0);
  #homesRing: HomeRing | undefined;

  targets(delta: number): readonly number[] {
    return this.#targets.get(delta) ?? NOWHERE;
  }

  /** Deltas that are placed elsewhere than at home alone, and where. */
  placed(): Iterable<readonly [delta: number, nodes: readonly number[]]> {
    return this.#targets;
  }

  /** Deltas that are placed elsewhere than at home alone. */
  get placedCount(): number {
    return this.#targets.size;
  }

  round(input: RoundInput, options: RoundOptions): readonly Move[] {
    const moves: Move[] = [];
    this.#forgetGone(input);
    const rates = this.#copies(input, options, moves);
    if (moves.length < options.movesMax) this.#balance(input, options, rates, moves);
    return moves;
  }

  /** A node that is gone is not waited for: its deltas' next places on the ring have them already or load them. */
  #forgetGone({ nodes }: RoundInput): void {
    const alive = new Set(nodes);
    for (const [delta, targets] of this.#targets) {
      if (targets.every((node) => alive.has(node))) continue;
      const left = targets.filter((node) => alive.has(node));
      if (left.length > 0) this.#targets.set(delta, left);
      else this.#targets.delete(delta);
    }
  }

  /** Copies by demand; gives the rate of each delta. */
  #copies({ ring, demand, deltaHash, nowMs }: RoundInput, options: RoundOptions, moves: Move[]): Float64Array {
    const rates = new Float64Array(demand.count);
    const limits = { ratePerCopy: COPY_SHARE * options.nodeRate, copiesMax: Math.min(options.copiesMax, ring.nodeCount) };
    for (const delta of demand.asked) {
      rates[delta] = demand.ratePerSecond(delta, nowMs);
      const rate = demand.urgentRatePerSecond(delta, nowMs);
      const targets = this.#targets.get(delta);
      const copies = targets?.length ?? 1;
      if (copies === 1 && rate <= limits.ratePerCopy) continue;
      const wanted = replicaCount(rate, copies, limits);
      if (wanted === copies || moves.length >= options.movesMax) continue;
      const room = options.movesMax - moves.length;
      this.#resize(delta, deltaHash[delta]!, targets, Math.max(copies - room, Math.min(copies + room, wanted)), ring, moves);
    }
    return rates;
  }

  #resize(delta: number, hash: number, targets: readonly number[] | undefined, wanted: number, ring: HomeRing, moves: Move[]): void {
    const found = ring.candidates(hash, wanted + (targets?.length ?? 0), this.#order);
    const current = targets ?? this.#order.slice(0, 1);
    if (wanted < current.length) {
      for (const node of current.slice(wanted)) moves.push({ delta, from: node, to: undefined });
      this.#set(delta, current.slice(0, wanted), this.#order[0]!);
      return;
    }
    const more = this.#order
      .slice(0, found)
      .filter((node) => !current.includes(node))
      .slice(0, wanted - current.length);
    for (const node of more) moves.push({ delta, from: undefined, to: node });
    this.#set(delta, [...current, ...more], this.#order[0]!);
  }

  #set(delta: number, targets: readonly number[], home: number): void {
    if (targets.length === 1 && targets[0] === home) this.#targets.delete(delta);
    else this.#targets.set(delta, targets);
  }

  #balance({ ring, nodes, deltaHash, demand, pinned }: RoundInput, options: RoundOptions, rates: Float64Array, moves: Move[]): void {
    const homes = new Int32Array(rates.length).fill(-1);
    this.#prepareHomes(ring, rates.length);
    const loads = new Float64Array(1 + nodes.reduce((most, node) => Math.max(most, node), 0)); // By node.
    let total = 0;
    for (const delta of demand.asked) {
      const rate = rates[delta]!;
      if (rate === 0) continue;
      total += rate;
      const targets = this.#targets.get(delta);
      if (targets) for (const node of targets) loads[node]! += rate / targets.length;
      if (targets && targets.length > 1) continue;
      const home = targets ? targets[0]! : this.#homeOf(delta, deltaHash[delta]!, ring);
      if (!targets) loads[home]! += rate;
      homes[delta] = home;
    }
    const mean = total / nodes.length;
    const limit = Math.max((1 + TOLERANCE) * mean, BUSY_SHARE * options.nodeRate);
    const full = (node: number) => loads[node]! > limit;
    const movable: number[] = [];
    for (const delta of demand.asked) {
      if (homes[delta]! >= 0 && rates[delta]! > GAIN_MIN * mean && full(homes[delta]!)) movable.push(delta);
    }
    movable.sort((one, other) => rates[other]! - rates[one]! || one - other);
    for (const delta of movable) {
      if (moves.length >= options.movesMax) break;
      if (pinned?.has(delta)) continue;
      if (full(homes[delta]!)) this.#relieve(delta, homes[delta]!, deltaHash[delta]!, rates[delta]!, mean, { ring, loads, moves });
    }
  }

  #prepareHomes(ring: HomeRing, count: number): void {
    if (this.#homesRing === ring && this.#homes.length >= count) return;
    this.#homes = new Int32Array(2 * count).fill(-1);
    this.#homesRing = ring;
  }

  #homeOf(delta: number, hash: number, ring: HomeRing): number {
    const known = this.#homes[delta]!;
    if (known >= 0) return known;
    ring.candidates(hash, 1, this.#order);
    this.#homes[delta] = this.#order[0]!;
    return this.#order[0]!;
  }

  #relieve(delta: number, from: number, hash: number, rate: number, mean: number, context: Balancing): void {
    const { ring, loads, moves } = context;
    const found = ring.candidates(hash, CANDIDATES, this.#order);
    let best: number | undefined;
    let bestLoad = loads[from]! - GAIN_MIN * mean;
    for (let index = 0; index < found; index++) {
      const node = this.#order[index]!;
      const after = loads[node]! + rate;
      if (node !== from && after < bestLoad) [best, bestLoad] = [node, after];
    }
    if (best === undefined) return;
    loads[from]! -= rate;
    loads[best] = bestLoad;
    moves.push({ delta, from, to: best });
    this.#set(delta, [best], this.#order[0]!);
  }
}

interface Balancing {
  readonly ring: HomeRing;
  readonly loads: Float64Array;
  readonly moves: Move[];
}

const NOWHERE: readonly number[] = [];
