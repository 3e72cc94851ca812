import type { BaseDigest, BaseLoad, DeltaDigest, NodeId, NodeView, TenantId, Tier, Tokens } from "#kernel";

/** What a request asks of a node. */
export interface Ask {
  readonly tenantId: TenantId;
  readonly baseDigest: BaseDigest;
  /** Undefined for the plain base. */
  readonly deltaDigest: DeltaDigest | undefined;
  /** The delta's rank, where known. */
  readonly deltaRank?: number;
  readonly promptTokensEstimate: Tokens;
  readonly maxTokens: Tokens;
  /** Tried already, without success. */
  readonly excludedNodes: ReadonlySet<NodeId>;
  /** Not where its delta would have to wait for a slot: the caller knows a better place to wait. Default: it may go there. */
  readonly needsSlot?: boolean;
}

/** Why this node: where the delta is expected to be found, or what its place was chosen by. `base`: no delta was asked for. */
export type Reason = Tier | "copy" | "home" | "spill" | "base";

/**
 * What the node that came nearest lacked, from far to near: there is none at all; none has the base, none of those is ready, takes
 * the rank, was not tried already, has room in its queue, gets more by the caller's own rule, has a slot for the delta.
 */
export const REFUSALS = ["membership", "base", "ready", "rank", "excluded", "queue", "full", "slot"] as const;
export type Refusal = (typeof REFUSALS)[number];

export type Decision =
  | {
      readonly kind: "node";
      readonly node: NodeView;
      /** Where the delta stands on that node; undefined for nowhere, and for the plain base. */
      readonly residency: Tier | undefined;
      readonly reason: Reason;
      /** Other nodes, `host:port`, that have the delta: for a node that must fetch it. */
      readonly deltaSources: readonly string[];
    }
  | {
      readonly kind: "none";
      readonly why: Refusal;
      /** Whether a ready node of the base gets more by the caller's rule, though not this. */
      readonly roomElsewhere: boolean;
    };

/**
 * Whether a node gets one more by the caller's own rule. `rows`: its rows ahead, with what the caller assumes; a node that has no room with so many
 * has none with more.
 */
export type HasRoom = (limits: Pick<BaseLoad, "rowsMax" | "queueDepthMax">, rows: number) => boolean;
