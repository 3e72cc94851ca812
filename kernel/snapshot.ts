import type { BaseDigest, DeltaDigest, NodeId, TenantId } from "./ids.ts";
import type { Bytes, Millis, Tokens } from "./units.ts";

/** Where a delta stands on a node, from fast to slow. A delta that is on several tiers is listed under the fastest. */
export type Tier = "slot" | "ram" | "disk";

/** One delta on one node, as the node reported it. */
export interface Residency {
  readonly tier: Tier;
  readonly state: "loading" | "ready" | "evicting";
  readonly tenantId: TenantId;
  readonly baseDigest: BaseDigest;
  readonly rank: number;
  readonly sizeBytes: Bytes;
  /** Sequences that use it now; more than 0 means it is not evicted. */
  readonly references: number;
  readonly pinned: boolean;
}

/** What a base is, for those who only pass its name on. */
export interface BaseDescription {
  readonly name: string;
  /** llama, qwen2, qwen3 or gpt2. */
  readonly architecture: string;
  readonly contextTokensMax: Tokens;
  readonly vocabularySize: number;
  readonly parameterCount: number;
  /** As stored: float32, float16 or bfloat16. */
  readonly weightType: string;
  /** The folder on the nodes. */
  readonly directory: string;
}

/** One base on one node, and how busy its engine is. */
export interface BaseLoad extends BaseDescription {
  readonly rankMax: number;
  readonly rowsRunning: number;
  readonly rowsMax: number;
  readonly queueDepth: number;
  readonly queueDepthMax: number;
  readonly slotsUsed: number;
  readonly slotsMax: number;
  readonly kvTokensUsed: Tokens;
  readonly kvTokensMax: Tokens;
  /** Tokens computed over the last seconds, prompt and completion. */
  readonly tokensPerSecond: number;
}

export type NodeState = "starting" | "ready" | "draining";

/** One node as the cluster last heard of it. Immutable. */
export interface NodeView {
  readonly id: NodeId;
  /** `host:port` of its NodeService. */
  readonly address: string;
  readonly state: NodeState;
  /** Changes at every start of the node: reports of an older epoch are void. */
  readonly epoch: string;
  readonly bases: ReadonlyMap<BaseDigest, BaseLoad>;
  readonly deltas: ReadonlyMap<DeltaDigest, Residency>;
  /** By the receiver's monotonic clock. */
  readonly reportedAt: Millis;
}

/** The cluster at one moment; what every placement decision is a function of. Immutable. */
export interface Snapshot {
  readonly version: number;
  readonly nodes: ReadonlyMap<NodeId, NodeView>;
}

export const EMPTY_SNAPSHOT: Snapshot = { version: 0, nodes: new Map() };
