import {
  type Clock,
  type DeltaDigest,
  deadlineSignal,
  Fault,
  isFault,
  type Millis,
  type NodeView,
  SECOND,
  type Snapshot,
  toFault,
} from "#kernel";
import type { DeltaRecord } from "../catalog/index.ts";
import { deltaAsk, type ResidencyDeps, referenceOf } from "./residency.ts";

export interface FollowDeps extends ResidencyDeps {
  readonly clock: Clock;
  readonly snapshot: () => Snapshot;
}

/** A delta of some megabytes takes a second; one that takes longer than this has a problem that its owner should hear of. */
const FOLLOW_MS_MAX: Millis = 30 * SECOND;
/** Snapshots change about this often. */
const SNAPSHOT_POLL_MS: Millis = 100;

/**
 * Brings deltas into the RAM of every node that has one of `present` there or in a slot, and waits until the snapshot
 * shows them: requests go by the snapshot, so from then on none of them meets a cold delta. When `present` is resident
 * nowhere, the new ones are loaded on their home, where requests for them will go.
 * @throws what a node says that cannot load one, delta_unavailable when it takes longer than half a minute
 */
export async function followResidency(
  deps: FollowDeps,
  present: readonly DeltaDigest[],
  deltas: readonly DeltaRecord[],
  signal: AbortSignal,
): Promise<void> {
  using limit = deadlineSignal(deps.clock, FOLLOW_MS_MAX, tooLate, signal);
  await Promise.all(deltas.map((delta) => follow(deps, present, delta, limit.signal)));
}

async function follow(deps: FollowDeps, present: readonly DeltaDigest[], delta: DeltaRecord, signal: AbortSignal): Promise<void> {
  for (;;) {
    const ready = [...deps.snapshot().nodes.values()].filter((node) => node.state === "ready" && node.bases.has(delta.baseDigest));
    if (ready.length === 0) return; // Nothing to load it on, and nothing that would be served from it either.
    const hosts = ready.filter((node) => present.some((digest) => isHot(node, digest)));
    if (hosts.length === 0 && (await loadAtHome(deps, delta, signal))) return;
    const missing = hosts.filter((node) => !isHot(node, delta.digest));
    if (hosts.length > 0 && missing.length === 0) return;
    await Promise.all(missing.map((node) => loadOn(deps, node, delta, signal)));
    await deps.clock.after(SNAPSHOT_POLL_MS, signal);
  }
}

function isHot(node: NodeView, digest: DeltaDigest): boolean {
  const residency = node.deltas.get(digest);
  return residency !== undefined && residency.tier !== "disk" && residency.state === "ready";
}

/** Whether it is loaded now. A node that goes away is not waited for: the next snapshot is without it. */
async function loadOn(deps: FollowDeps, node: NodeView, delta: DeltaRecord, signal: AbortSignal): Promise<boolean> {
  try {
    await deps.dispatcher.clientOf(node).attach({ delta: referenceOf(delta), pinned: delta.pinned }, signal);
    return true;
  } catch (error) {
    signal.throwIfAborted();
    if (toFault(error).retry.kind !== "other_node") throw error;
    return false;
  }
}

/** On the node that its first request will go to. */
async function loadAtHome(deps: FollowDeps, delta: DeltaRecord, signal: AbortSignal): Promise<boolean> {
  using placement = placeNow(deps, delta);
  return placement !== undefined && (await loadOn(deps, placement.node, delta, signal));
}

/** Undefined while every node is busy beyond its limits. */
function placeNow({ dispatcher }: FollowDeps, delta: DeltaRecord): ReturnType<FollowDeps["dispatcher"]["place"]> | undefined {
  try {
    return dispatcher.place(deltaAsk(delta));
  } catch (error) {
    if (isFault(error, "queue_full") || isFault(error, "no_ready_node")) return undefined;
    throw error;
  }
}

function tooLate(): Fault {
  const waited = `${FOLLOW_MS_MAX / SECOND} s`;
  return new Fault("delta_unavailable", `the deltas were not resident within ${waited} where the present ones are: nothing was switched`);
}
