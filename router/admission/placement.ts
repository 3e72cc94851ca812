import type { NodeView } from "#kernel";
import type { Ask } from "#scheduler";

/** What has to be placed. */
export interface PlacementAsk extends Omit<Ask, "excludedNodes"> {
  /** How many rows it takes: one per choice; none for what is computed beside the batch. */
  readonly rows: number;
}

/** A node that was chosen for some rows. Dispose it when they have ended. */
export interface Placement extends Disposable {
  readonly node: NodeView;
}
