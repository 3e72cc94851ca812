import { every, type Millis, type NodeView, SECOND, type Snapshot, toFault } from "#kernel";
import type { BaseRecord, DeltaRecord } from "../catalog/index.ts";
import type { ModelDeps } from "./delta-publication.ts";
import { deltaAsk, referenceOf } from "./residency.ts";

/** A node that joins or comes back is looked after within this time. */
const ROUND_MS: Millis = 2 * SECOND;
/** What failed on a node is not tried there again before: it reads the same files. */
const RETRY_MS: Millis = 60 * SECOND;

/**
 * Brings the nodes to what the records say: bases that an operator added are loaded everywhere, pinned deltas are pinned
 * on their home. Compares state with state, so it does not matter how they came apart. Runs until the router stops.
 */
export function keepDesiredState(deps: ModelDeps, snapshot: () => Snapshot): Promise<void> {
  /** Until when each piece of work is left alone: it runs, or has failed. */
  const leftAlone = new Map<string, Millis>();

  const undertake = (work: string, task: () => Promise<unknown>): void => {
    if ((leftAlone.get(work) ?? 0) > deps.clock.monotonic()) return;
    leftAlone.set(work, Number.POSITIVE_INFINITY);
    Promise.try(task).then(
      () => leftAlone.delete(work),
      (error: unknown) => {
        deps.log.warn({ work, err: toFault(error) }, "the cluster could not be brought to what the records say");
        leftAlone.set(work, deps.clock.monotonic() + RETRY_MS);
      },
    );
  };

  return every(deps.clock, ROUND_MS, deps.stopping, () => {
    const nodes = [...snapshot().nodes.values()].filter((node) => node.state === "ready");
    for (const base of deps.catalog.view.all("base")) {
      if (base.ownNodes) continue;
      for (const node of nodes.filter((candidate) => !candidate.bases.has(base.digest))) {
        undertake(`base ${base.name} on ${node.id} ${node.epoch}`, () => loadBase(deps, base, node));
      }
    }
    for (const delta of deps.catalog.view.all("delta")) {
      const held = nodes.some((node) => node.deltas.get(delta.digest)?.pinned);
      if (delta.pinned && !held && nodes.length > 0) undertake(`pin ${delta.digest}`, () => pinAtHome(deps, delta));
    }
  });
}

function loadBase(deps: ModelDeps, { name, directory }: BaseRecord, node: NodeView): Promise<unknown> {
  return deps.dispatcher.clientOf(node).attachBase({ name, directory }, deps.stopping);
}

function pinAtHome(deps: ModelDeps, delta: DeltaRecord): Promise<unknown> {
  return deps.dispatcher.ask(deltaAsk(delta), deps.stopping, ({ client }) =>
    client.attach({ delta: referenceOf(delta), pinned: true }, deps.stopping),
  );
}
