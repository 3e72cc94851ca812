import type { BaseDigest, DeltaDigest, NodeId, NodeView, Random, Snapshot, TenantId, Tier, Tokens } from "#kernel";

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
}

export type Verdict = { readonly fits: true } | { readonly fits: false; readonly why: string };

/** Whether a node can serve an ask at all. */
export type Filter = (node: NodeView, ask: Ask, cluster: Snapshot) => Verdict;

/** How well a node would serve an ask: 0 to 1, its ladder in the file's header. */
export type Score = (node: NodeView, ask: Ask, cluster: Snapshot) => number;

/** Chooses among the ranked; `ranked` is never empty. */
export type Pick = (ranked: readonly Ranked[], random: Random) => Ranked;

/** A node that fits, with what each score said. */
export interface Ranked {
  readonly node: NodeView;
  /** 0 to 1: the weighted mean of the scores. */
  readonly total: number;
  readonly scores: Readonly<Record<string, number>>;
}

/** Why this node: where the delta is expected to be found, or what its place was chosen by. `base`: no delta was asked for. */
export type Reason = Tier | "home" | "spill" | "base";

/** Everything a decision came from. */
export interface Trace {
  readonly refused: readonly { readonly nodeId: NodeId; readonly filter: string; readonly why: string }[];
  /** Nodes that fit but are no place for this delta, so that it does not spread over the cluster: see places.ts. */
  readonly passedOver: readonly NodeId[];
  readonly ranked: readonly Ranked[];
}

export type Decision =
  | {
      readonly kind: "node";
      readonly node: NodeView;
      /** Where the delta stands on that node; undefined for nowhere, and for the plain base. */
      readonly residency: Tier | undefined;
      readonly reason: Reason;
      readonly trace: Trace;
    }
  | {
      readonly kind: "none";
      /** The filter that the best node failed; `membership` when there is no node at all. */
      readonly why: string;
      readonly trace: Trace;
    };

/** By node, the router's own rows that no report shows yet; below zero, those that have ended since the report. */
export type AssumedRows = ReadonlyMap<NodeId, number>;
