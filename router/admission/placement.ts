import type { NodeView } from "#kernel";
import type { Ask } from "#scheduler";

/** What has to be placed. */
export interface PlacementAsk extends Omit<Ask, "excludedNodes"> {
  /** How many rows it takes: one per choice; none for what is computed beside the batch. */
  readonly rows: number;
  /** What the base is called; only bases with a name are woken. */
  readonly baseName?: string;
}

/** A node that was chosen for some rows. Dispose it when they have ended. */
export interface Placement extends Disposable {
  readonly node: NodeView;
  /** By what it was chosen, in one word. */
  readonly reason?: string;
  /** Other nodes, `host:port`, that have the delta, for a node that must fetch it. */
  readonly deltaSources: readonly string[];
  /** A token of it has come: its prompt is computed. Only the first call counts. */
  answered(): void;
}
