import { assert } from "#kernel";
import { mixHash } from "../rendezvous.ts";

/** Points of each node on the ring: with 64 the arcs of two nodes differ by an eighth or so. */
const POINTS_PER_NODE = 64;
/** A point is hash · 2^20 + node, exact in a double: one sort orders both. */
const NODES_MAX = 2 ** 20;

/**
 * The order of homes of every delta, without looking at every node: consistent hashing (Karger et al. 1997). The nodes met first from the delta's place
 * on are its home, where that spills to, and so on. A node that comes or goes moves only what it takes or leaves. Rendezvous
 * hashing is a little fairer, but looks at all nodes: too slow for a million deltas on ten thousand.
 */
export class HomeRing {
  readonly #points: Float64Array;
  readonly nodeCount: number;

  /** `nodes` by number, each with a hash of its name. */
  constructor(nodes: readonly { readonly node: number; readonly hash: number }[]) {
    this.nodeCount = nodes.length;
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
