import { asBaseDigest, asDeltaDigest, asNodeId, type DeltaDigest, type NodeId, type PlacementPlan } from "#kernel";
import type { DeltaCopies, PlacementPlan as PlanMessage } from "#proto";

/** Plans on the wire: everything but the copies as a whole, of the copies those that changed. */

/** Undefined when nothing changed. Without a `before` the receiver forgets what it had. */
export function planChange(before: PlacementPlan | undefined, after: PlacementPlan | undefined): PlanMessage | undefined {
  if (!after || after === before) return undefined;
  const { leader = "", leaderEpoch } = after;
  return {
    ...{ leader, leaderEpoch, full: before === undefined, changedCopies: changedCopies(before?.copies, after.copies) },
    bases: [...after.bases].map(([baseDigest, { name, nodesWanted, demand }]) => ({ baseDigest, baseName: name, nodesWanted, demand })),
    handovers: [...after.handovers].map(([nodeId, handover]) => ({ nodeId, ...handover })),
  };
}

export function applyPlan(known: PlacementPlan | undefined, message: PlanMessage): PlacementPlan {
  const copies = new Map(message.full ? [] : known?.copies);
  for (const { digest, nodeIds } of message.changedCopies) {
    if (nodeIds.length === 0) copies.delete(asDeltaDigest(digest));
    else copies.set(asDeltaDigest(digest), nodeIds.map(asNodeId));
  }
  const bases = message.bases.map(
    ({ baseDigest, baseName: name, nodesWanted, demand }) => [asBaseDigest(baseDigest), { name, nodesWanted, demand }] as const,
  );
  const handovers = message.handovers.map(({ nodeId, ...handover }) => [asNodeId(nodeId), handover] as const);
  const { leader, leaderEpoch } = message;
  return { leader: leader || undefined, leaderEpoch, copies, bases: new Map(bases), handovers: new Map(handovers) };
}

type Copies = ReadonlyMap<DeltaDigest, readonly NodeId[]>;

function changedCopies(before: Copies | undefined, after: Copies): DeltaCopies[] {
  if (before === after) return [];
  const changed = [...after].filter(([digest, nodes]) => before?.get(digest)?.join() !== nodes.join());
  const gone = [...(before?.keys() ?? [])].filter((digest) => !after.has(digest));
  return [...changed.map(([digest, nodes]) => ({ digest, nodeIds: [...nodes] })), ...gone.map((digest) => ({ digest, nodeIds: [] }))];
}
