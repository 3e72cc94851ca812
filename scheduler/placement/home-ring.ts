import { assert } from "#kernel";
import { mixHash } from "../hash.ts";

/** Points of each node on the ring: with 64 the arcs of two nodes differ by an eighth or so. */
const POINTS_PER_NODE = 64;
/** A point is hash · 2^20 + node, exact in a double: one sort orders both. */
const NODES_MAX = 2 ** 20;

/** A node by number, with a hash of its name. */
export interface RingNode {
  readonly node: number;
  readonly hash: number;
}

/**
 * The order of homes of every delta, without looking at every node: consistent hashing (Karger et al. 1997). The nodes met first from the delta's place
 * on are its home, where that spills to, and so on. A node that comes or goes moves only what it takes or leaves. Rendezvous
 * hashing is a little fairer, but looks at all nodes: too slow for a million deltas on ten thousand. Never changes.
 */
export class HomeRing {
  #points: Float64Array;

  constructor(nodes: readonly RingNode[]) {
    this.#points = new Float64Array(nodes.length * POINTS_PER_NODE);
    let at = 0;
    for (const { node, hash } of nodes) {
      assert(node < NODES_MAX, "too many nodes for a ring");
      for (let point = 1; point <= POINTS_PER_NODE; point++) {
        this.#points[at++] = mixHash(hash ^ mixHash(point)) * NODES_MAX + node;
      }
    }
    this.#points.sort();
  }

  get nodeCount(): number {
    return this.#points.length / POINTS_PER_NODE;
  }

  /** The ring with some nodes more and some less: merges, for to sort all points of a large one anew takes ten times as long. */
  changed(come: readonly RingNode[], gone: ReadonlySet<number>): HomeRing {
    const ring = new HomeRing(come);
    const [before, added] = [this.#points, ring.#points];
    const merged = new Float64Array(before.length + added.length);
    let [next, count] = [0, 0];
    for (const point of before) {
      if (gone.size > 0 && gone.has(point % NODES_MAX)) continue;
      while (next < added.length && added[next]! < point) merged[count++] = added[next++]!;
      merged[count++] = point;
    }
    merged.set(added.subarray(next), count);
    ring.#points = merged.subarray(0, count + added.length - next);
    return ring;
  }

  /** The first `count` distinct nodes for a delta, in its order, into `into` from 0 on; tells how many there are. */
  candidates(deltaHash: number, count: number, into: number[]): number {
    const points = this.#points;
    const wanted = Math.min(count, this.nodeCount);
    let [low, high] = [0, points.length];
    const target = deltaHash * NODES_MAX;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (points[middle]! < target) low = middle + 1;
      else high = middle;
    }
    let found = 0;
    for (let step = low; found < wanted; step++) {
      const node = points[step % points.length]! % NODES_MAX;
      if (!contains(into, found, node)) into[found++] = node;
    }
    return found;
  }
}

function contains(nodes: readonly number[], count: number, node: number): boolean {
  for (let index = 0; index < count; index++) if (nodes[index] === node) return true;
  return false;
}
