/** What the router tells of its cluster, as far as this view reads it. */

export const TIERS = ["slot", "ram", "disk"] as const;
export type Tier = (typeof TIERS)[number];

export interface HeldDelta {
  readonly digest: string;
  /** Null when its record is gone, as of a delta that was just removed. */
  readonly name: string | null;
  readonly tenant_id: string;
  readonly tier: Tier;
  readonly state: "loading" | "ready" | "evicting";
  readonly rank: number;
  readonly size_bytes: number;
  /** Sequences that use it now. */
  readonly references: number;
  readonly pinned: boolean;
  /** Tokens per second of late. */
  readonly heat: number;
}

export interface TierContent {
  readonly count: number;
  readonly size_bytes: number;
  readonly pinned: number;
  /** The busiest and hottest; all of them when there are few. */
  readonly deltas: readonly HeldDelta[];
}

export interface BaseLoad {
  readonly name: string;
  readonly digest: string;
  readonly tokens_per_second: number;
  readonly rows_running: number;
  readonly rows_max: number;
  readonly queue_depth: number;
  readonly queue_depth_max: number;
  readonly slots_used: number;
  readonly slots_max: number;
  readonly kv_tokens_used: number;
  readonly kv_tokens_max: number;
}

export interface ClusterNode {
  readonly id: string;
  readonly address: string;
  readonly state: "starting" | "ready" | "draining";
  readonly silent_s: number;
  /** While it is drained: how many of its hot deltas have a place elsewhere by now. */
  readonly handover: { readonly copies_wanted: number; readonly copies_done: number } | null;
  readonly bases: readonly BaseLoad[];
  readonly tiers: Readonly<Record<Tier, TierContent>>;
}

export interface Cluster {
  readonly version: string;
  readonly requests_running: number;
  readonly claims_pending: number;
  readonly scheduler_silent_s: number | null;
  /** The scheduler that decides; null: nobody. */
  readonly leader: string | null;
  readonly nodes_total: number;
  readonly nodes: readonly ClusterNode[];
  readonly has_more: boolean;
}

export interface Delta {
  readonly name: string;
  readonly digest: string;
  readonly tenant_id: string;
  readonly base: string;
  readonly rank: number;
  readonly size_bytes: number;
  readonly created_at_ms: number;
  readonly pinned: boolean;
}

export interface DeltaDetail extends Delta {
  readonly heat: number;
  /** Beyond its home, as the scheduler wishes. */
  readonly wanted_on: readonly string[];
  readonly aliases: readonly { readonly name: string; readonly weight: number; readonly until_ms: number | null }[];
  readonly copies: readonly (HeldDelta & { readonly node_id: string; readonly node_state: ClusterNode["state"] })[];
  readonly history: readonly {
    readonly at_ms: number;
    readonly node_id: string;
    readonly from: Tier | null;
    readonly to: Tier | null;
  }[];
}

export interface Page<T> {
  readonly total: number;
  readonly data: readonly T[];
  readonly has_more: boolean;
}
