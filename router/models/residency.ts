import { type BaseDigest, type DeltaDigest, type Log, type NodeView, type Snapshot, type TenantId, toFault } from "#kernel";
import type { DeltaRecord } from "../catalog/index.ts";
import type { Dispatcher, PlacementAsk } from "../generation/index.ts";
import type { NodeClient } from "../nodes/index.ts";

/** What it takes to change where deltas stand. */
export interface ResidencyDeps {
  readonly dispatcher: Dispatcher;
  readonly log: Log;
  readonly stopping: AbortSignal;
}

interface DeltaKey {
  readonly digest: DeltaDigest;
  readonly tenantId: TenantId;
  readonly baseDigest: BaseDigest;
}

/** Places a delta itself, not a request: what comes back is the node that its first request will go to. */
export function deltaAsk({ digest, tenantId, baseDigest }: DeltaKey): PlacementAsk {
  return { tenantId, baseDigest, deltaDigest: digest, promptTokensEstimate: 0, maxTokens: 0, rows: 0 };
}

export function referenceOf({ digest, tenantId, baseDigest }: DeltaKey): DeltaKey {
  return { digest, tenantId, baseDigest };
}

/** Loads a delta on its home node, without waiting: its first request works either way. */
export function warmUp(deps: ResidencyDeps, delta: DeltaRecord): void {
  inBackground(deps.log, "a delta could not be loaded ahead of its first request", async () => {
    using placement = deps.dispatcher.place(deltaAsk(delta));
    await deps.dispatcher.clientOf(placement.node).attach({ delta: referenceOf(delta), pinned: delta.pinned }, deps.stopping);
  });
}

/**
 * Drops a delta from every node that may hold it, without waiting: nothing can ask for it any more. Those are all nodes of
 * its base, not only the holders of the snapshot, which is up to a second old and so knows nothing of a delta just pushed.
 */
export function dropEverywhere(deps: ResidencyDeps, snapshot: Snapshot, delta: DeltaRecord): void {
  for (const node of snapshot.nodes.values()) {
    if (!node.bases.has(delta.baseDigest) && !node.deltas.has(delta.digest)) continue;
    inBackground(deps.log, "a removed delta could not be dropped from a node", () =>
      deps.dispatcher.clientOf(node).detach({ delta: referenceOf(delta) }, deps.stopping),
    );
  }
}

/** Pins a delta on its home node, or releases it wherever it is pinned. @throws what a node says, or Fault no_ready_node */
export async function setPinned(
  deps: ResidencyDeps,
  snapshot: Snapshot,
  delta: DeltaRecord,
  pinned: boolean,
  signal: AbortSignal,
): Promise<void> {
  const attach = (client: NodeClient) => client.attach({ delta: referenceOf(delta), pinned }, signal);
  // The home node also when the snapshot shows no pin there: that may be a second old.
  await deps.dispatcher.ask(deltaAsk(delta), signal, ({ client }) => attach(client));
  if (pinned) return;
  const pinners = holders(snapshot, delta.digest).filter((node) => node.deltas.get(delta.digest)?.pinned);
  await Promise.all(pinners.map((node) => attach(deps.dispatcher.clientOf(node))));
}

function holders(snapshot: Snapshot, digest: DeltaDigest): readonly NodeView[] {
  return [...snapshot.nodes.values()].filter((node) => node.deltas.has(digest));
}

function inBackground(log: Log, failure: string, work: () => Promise<void>): void {
  Promise.try(work).catch((error: unknown) => log.warn({ err: toFault(error) }, failure));
}
