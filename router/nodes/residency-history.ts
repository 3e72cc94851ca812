import {
  type Clock,
  type DeltaDigest,
  every,
  type Millis,
  type NodeId,
  type NodeView,
  type Residency,
  SECOND,
  type Snapshot,
  type Tier,
} from "#kernel";

/** A delta came to a node, changed its tier there, or left it. */
export interface ResidencyChange {
  /** Since the epoch; to the round in which it was seen. */
  readonly at: Millis;
  readonly nodeId: NodeId;
  /** Undefined: it was not there. */
  readonly from: Tier | undefined;
  /** Undefined: it is not there any more. */
  readonly to: Tier | undefined;
}

/** A node reports about once a second. */
const ROUND_MS: Millis = SECOND;
/** Per delta, the latest. */
const CHANGES_MAX = 32;
/** Of those that moved last; about 20 MB with all of their changes. */
const DELTAS_MAX = 10_000;
/** Looked at in one round, of all nodes together: some milliseconds. A larger cluster is gone around in several. */
const RESIDENCIES_PER_ROUND = 20_000;

/**
 * Where deltas have been since this router started, from one snapshot to the next. What was there at first came from nobody
 * knows where, and is no change. Bounded: old changes go first, and so do deltas that have not moved for longest.
 */
export class ResidencyHistory {
  readonly #changes = new Map<DeltaDigest, ResidencyChange[]>();
  /** Of each node what it held when it was last looked at; in the order in which they were. */
  readonly #before = new Map<NodeId, NodeView["deltas"]>();
  #begun = false;

  observe(snapshot: Snapshot, at: Millis): void {
    let looked = 0;
    for (const [id, before] of [...this.#before]) {
      const now = snapshot.nodes.get(id)?.deltas;
      if (now && looked >= RESIDENCIES_PER_ROUND) continue;
      looked += before.size;
      this.#look(id, before, now, at);
    }
    for (const { id, deltas } of snapshot.nodes.values())
      if (!this.#before.has(id)) this.#look(id, this.#begun ? NONE : deltas, deltas, at);
    this.#begun ||= snapshot.nodes.size > 0;
  }

  /** The latest first. */
  of(digest: DeltaDigest): readonly ResidencyChange[] {
    return (this.#changes.get(digest) ?? []).toReversed();
  }

  /** `after`: undefined for a node that is gone. */
  #look(nodeId: NodeId, before: NodeView["deltas"], after: NodeView["deltas"] | undefined, at: Millis): void {
    this.#before.delete(nodeId);
    if (after) this.#before.set(nodeId, after);
    if (before !== after) this.#compare(nodeId, before, after ?? NONE, at);
  }

  #compare(nodeId: NodeId, before: NodeView["deltas"], after: NodeView["deltas"], at: Millis): void {
    for (const digest of before.keys())
      if (!after.has(digest)) this.#note(digest, { at, nodeId, from: before.get(digest)!.tier, to: undefined });
    for (const [digest, { tier }] of after) {
      const from = before.get(digest)?.tier;
      if (from !== tier) this.#note(digest, { at, nodeId, from, to: tier });
    }
  }

  #note(digest: DeltaDigest, change: ResidencyChange): void {
    const changes = this.#changes.get(digest) ?? [];
    changes.push(change);
    if (changes.length > CHANGES_MAX) changes.shift();
    this.#changes.delete(digest); // So that a map's order is that of the last move.
    this.#changes.set(digest, changes);
    if (this.#changes.size > DELTAS_MAX) this.#changes.delete(this.#changes.keys().next().value!);
  }
}

const NONE: ReadonlyMap<DeltaDigest, Residency> = new Map();

/** Follows the cluster until the signal aborts. */
export function keepResidencyHistory(
  deps: { readonly clock: Clock; readonly snapshot: () => Snapshot },
  signal: AbortSignal,
): ResidencyHistory {
  const history = new ResidencyHistory();
  history.observe(deps.snapshot(), deps.clock.now());
  void every(deps.clock, ROUND_MS, signal, () => history.observe(deps.snapshot(), deps.clock.now()));
  return history;
}
