import type { DeltaDigest, Millis, NodeId, NodeView, PlacementPlan, Residency, Snapshot } from "#kernel";
import type { NodeReport } from "./report.ts";

/**
 * Who is in the cluster, from what nodes report and from their silence. No clock, no sockets: time is an argument.
 *
 * A node is in from its first full report. A report stream that breaks means nothing by itself: the node is in until
 * it has been silent for `silenceMsMax` (it may be on its way back with a new stream, and its running requests notice by
 * themselves when it is really dead). A new stream takes over from the old one of the same node; a new epoch (the node
 * was started again) voids the old one, so that two processes under one name can't take turns.
 */
export class Membership {
  readonly #silenceMsMax: Millis;
  readonly #members = new Map<NodeId, Member>();
  /** From 1: on the wire, 0 stands for a part of a version. */
  #version = 1;
  #snapshot: Snapshot | undefined;
  #plan: PlacementPlan | undefined;

  constructor(silenceMsMax: Millis) {
    this.#silenceMsMax = silenceMsMax;
  }

  /** The cluster now. The same object as long as nothing changes. */
  get snapshot(): Snapshot {
    this.#snapshot ??= {
      version: this.#version,
      nodes: new Map(this.#members.entries().map(([id, { view }]) => [id, view])),
      plan: this.#plan,
    };
    return this.#snapshot;
  }

  /** A node that is there. */
  view(id: NodeId): NodeView | undefined {
    return this.#members.get(id)?.view;
  }

  /** What is wanted from now on. */
  setPlan(plan: PlacementPlan): void {
    this.#plan = plan;
    this.#changed();
  }

  /** Takes a report that came on `stream` (any value of the caller's, one per stream). A refused one changes nothing. */
  report(stream: number, report: NodeReport, at: Millis): ReportVerdict {
    const known = this.#members.get(report.nodeId);
    const why = known?.stream === stream ? outOfOrder(known, report) : noBeginning(known, report, this.#members.size);
    if (why !== undefined) return { kind: "rejected", why };
    const deltas = report.full ? report.deltas : patch(known!.view.deltas, report);
    if (deltas.size > DELTAS_MAX) return { kind: "rejected", why: `more than ${DELTAS_MAX} deltas` };
    const { nodeId: id, address, state, epoch, bases } = report;
    this.#members.set(id, {
      stream,
      sequence: report.sequence,
      oldEpochs: oldEpochs(known, epoch),
      view: { id, address, state, epoch, bases, deltas, reportedAt: at },
    });
    this.#changed();
    return { kind: "accepted" };
  }

  /** Drops the nodes that have been silent for too long. */
  expire(at: Millis): readonly NodeId[] {
    const gone = [...this.#members.values()].filter(({ view }) => at - view.reportedAt > this.#silenceMsMax).map(({ view }) => view.id);
    for (const id of gone) this.#members.delete(id);
    if (gone.length > 0) this.#changed();
    return gone;
  }

  #changed(): void {
    this.#version++;
    this.#snapshot = undefined;
  }
}

export type ReportVerdict = { readonly kind: "accepted" } | { readonly kind: "rejected"; readonly why: string };

interface Member {
  readonly view: NodeView;
  /** The stream its reports come on. */
  readonly stream: number;
  /** Of the last report. */
  readonly sequence: number;
  /** Of earlier starts, latest last. */
  readonly oldEpochs: readonly string[];
}

/** One scheduler is meant for a cluster of hundreds; beyond this something makes up node ids. */
const NODES_MAX = 20_000;
/** Of one node, on all tiers. */
const DELTAS_MAX = 200_000;
/** How many starts of a node back a process may be and still be told from a new one. */
const OLD_EPOCHS_MAX = 16;

function outOfOrder(known: Member, report: NodeReport): string | undefined {
  if (report.epoch !== known.view.epoch) return `the epoch changed within a stream: ${known.view.epoch}, then ${report.epoch}`;
  if (report.sequence !== known.sequence + 1) return `report ${report.sequence} came after ${known.sequence}`;
  return undefined;
}

function noBeginning(known: Member | undefined, report: NodeReport, nodes: number): string | undefined {
  if (known?.oldEpochs.includes(report.epoch)) return `epoch ${report.epoch} ended: the node was started again`;
  if (report.sequence !== 1 || !report.full) return "a stream begins with report 1, which is full";
  if (!known && nodes >= NODES_MAX) return `there are ${NODES_MAX} nodes already`;
  return undefined;
}

function oldEpochs(known: Member | undefined, epoch: string): readonly string[] {
  if (!known) return [];
  return known.view.epoch === epoch ? known.oldEpochs : [...known.oldEpochs, known.view.epoch].slice(-OLD_EPOCHS_MAX);
}

/** The same map when nothing changes, so that whoever compares snapshots sees at once that nothing did. */
function patch(deltas: ReadonlyMap<DeltaDigest, Residency>, report: NodeReport): ReadonlyMap<DeltaDigest, Residency> {
  if (report.deltas.size === 0 && report.removed.length === 0) return deltas;
  const patched = new Map(deltas);
  for (const digest of report.removed) patched.delete(digest);
  for (const [digest, residency] of report.deltas) patched.set(digest, residency);
  return patched;
}
