import {
  asDeltaDigest,
  asNodeId,
  type DeltaDigest,
  EMPTY_SNAPSHOT,
  type Millis,
  type NodeView,
  type Residency,
  type Snapshot,
} from "#kernel";
import {
  baseLoadFromMessage,
  baseLoadToMessage,
  type NodeView as NodeViewMessage,
  nodeStateFromMessage,
  nodeStateToMessage,
  residencyFromMessage,
  residencyToMessage,
  type WatchSnapshotResponse,
} from "#proto";
import { applyPlan, planChange } from "./plan-message.ts";

/**
 * Snapshots on the wire: what changed from one to another, as one message or, when it is large, as several: then all
 * but the last have version 0, and a receiver shows nobody the parts before it has the last.
 */

/** About 1 MB: a quarter of what a message may be. */
const ENTRIES_PER_MESSAGE = 4000;

/** From `before` (undefined: from nothing, and the receiver forgets what it had) to `after`. At least one message. */
export function* diffMessages(before: Snapshot | undefined, after: Snapshot): Generator<WatchSnapshotResponse> {
  const plan = planChange(before?.plan, after.plan);
  const goneNodeIds = before ? [...before.nodes.keys()].filter((id) => !after.nodes.has(id)) : [];
  let message: WatchSnapshotResponse = { version: 0, full: before === undefined, changed: [], goneNodeIds, plan: undefined };
  let room = ENTRIES_PER_MESSAGE;
  for (const view of after.nodes.values()) {
    if (before?.nodes.get(view.id) === view) continue;
    for (const piece of pieces(before?.nodes.get(view.id), view)) {
      const entries = 1 + piece.bases.length + piece.deltas.length + piece.removedDigests.length;
      if (entries > room && message.changed.length > 0) {
        yield message;
        message = { version: 0, full: false, changed: [], goneNodeIds: [], plan: undefined };
        room = ENTRIES_PER_MESSAGE;
      }
      message.changed.push(piece);
      room -= entries;
    }
  }
  yield { ...message, version: after.version, plan };
}

/** `snapshot` with the message's changes; what it says of a node counts as reported at `at`. @throws Fault message_malformed */
export function applyDiff(snapshot: Snapshot, message: WatchSnapshotResponse, at: Millis): Snapshot {
  const nodes = new Map(message.full ? EMPTY_SNAPSHOT.nodes : snapshot.nodes);
  for (const id of message.goneNodeIds) nodes.delete(asNodeId(id));
  for (const changed of message.changed) {
    const id = asNodeId(changed.id);
    const deltas = applyDeltas(changed.full ? NO_DELTAS : (nodes.get(id)?.deltas ?? NO_DELTAS), changed);
    const { address, epoch } = changed;
    const bases = new Map(changed.bases.map(baseLoadFromMessage));
    nodes.set(id, { id, address, epoch, state: nodeStateFromMessage(changed.state), bases, deltas, reportedAt: at });
  }
  const plan = message.plan ? applyPlan(message.full ? undefined : snapshot.plan, message.plan) : message.full ? undefined : snapshot.plan;
  return { version: message.version, nodes, plan };
}

const NO_DELTAS: NodeView["deltas"] = new Map();

/** The same map when nothing changes, so that whoever compares sees at once that nothing did. */
function applyDeltas(known: NodeView["deltas"], { deltas, removedDigests }: NodeViewMessage): NodeView["deltas"] {
  if (deltas.length === 0 && removedDigests.length === 0) return known;
  const changed = new Map(known);
  for (const digest of removedDigests) changed.delete(asDeltaDigest(digest));
  for (const [digest, residency] of deltas.map(residencyFromMessage)) changed.set(digest, residency);
  return changed;
}

/** One node's change, in pieces that fit a message each. */
function* pieces(before: NodeView | undefined, after: NodeView): Generator<NodeViewMessage> {
  const known = before?.epoch === after.epoch ? before.deltas : undefined;
  const changed = changedDeltas(known, after.deltas);
  const removed = known && known !== after.deltas ? [...known.keys()].filter((digest) => !after.deltas.has(digest)) : [];
  const head = {
    id: after.id,
    address: after.address,
    state: nodeStateToMessage(after.state),
    epoch: after.epoch,
    bases: [...after.bases].map(([digest, load]) => baseLoadToMessage(digest, load)),
  };
  const length = Math.max(1, changed.length, removed.length);
  for (let at = 0; at < length; at += ENTRIES_PER_MESSAGE) {
    const deltas = changed.slice(at, at + ENTRIES_PER_MESSAGE).map(([digest, residency]) => residencyToMessage(digest, residency));
    yield { ...head, full: !known && at === 0, deltas, removedDigests: removed.slice(at, at + ENTRIES_PER_MESSAGE) };
  }
}

function changedDeltas(
  before: ReadonlyMap<DeltaDigest, Residency> | undefined,
  after: ReadonlyMap<DeltaDigest, Residency>,
): readonly (readonly [DeltaDigest, Residency])[] {
  if (before === after) return [];
  return [...after].filter(([digest, residency]) => !same(before?.get(digest), residency));
}

function same(one: Residency | undefined, other: Residency): boolean {
  return one === other || (one !== undefined && (Object.keys(other) as (keyof Residency)[]).every((field) => one[field] === other[field]));
}
