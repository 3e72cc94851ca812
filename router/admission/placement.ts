import type { NodeView } from "#kernel";
import type { Ask } from "#scheduler";

/** What has to be placed. */
export interface PlacementAsk extends Omit<Ask, "excludedNodes"> {
  /** How many rows it takes: one per choice; none for what is computed beside the batch. */
  readonly rows: number;
}

/**
 * Whether a request may be sent to a node whose rows are all taken. `alone`: nobody else competes for the base, and no row shall idle.
 * `below_share`: its tenant has less than its share of what runs, and the node takes a row back for it from whoever has more.
 */
export type Ahead = "not" | "alone" | "below_share";

/** A node that was chosen for some rows. Dispose it when they have ended. */
export interface Placement extends Disposable {
  readonly node: NodeView;
}
