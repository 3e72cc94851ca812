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
  /** Undefined until the engine has run. */
  readonly timing?: BaseTiming | undefined;
  /** Undefined from a node that does not tell. */
  readonly engine?: BaseEngine | undefined;
}

/** What the engine of a base computes with, and what it takes there. Words are the node's: for people. */
export interface BaseEngine {
  /** cpu, webgpu, … */
  readonly provider: string;
  /** The device's name; the provider's where it has none. */
  readonly device: string;
  /** float32, float16, int8 or int4. */
  readonly weights: string;
  /** Held where it computes; 0 while it is being started. */
  readonly memoryBytes: Bytes;
  /** What all engines of the node may hold there together. 0: not known. */
  readonly memoryBytesMax: Bytes;
}

/** How fast one base is on one node, measured there, and what waits: what an estimate of the time to a first token needs. Zero: not measured yet. */
export interface BaseTiming {
  /** A step at present, and what one row more adds to it. */
  readonly stepMs: Millis;
  readonly rowMs: Millis;
  /** What one token of a prompt adds to the step that computes it. */
  readonly promptTokenMs: Millis;
  /** From a row's first token to its end, over the last rows. */
  readonly meanRowMs: Millis;
  /** Of prompts whose first token has not come yet. */
  readonly promptTokensWaiting: Tokens;
  /** Loads that wait for room in the slots: rows must end first. */
  readonly starvedLoads: number;
  /** Slots whose delta has rows. */
  readonly slotsInUse: number;
  /** Of a load's last stage: from RAM into a slot, from disk to RAM, from the store to disk. */
  readonly slotLoadMs: Millis;
  readonly ramLoadMs: Millis;
  readonly diskLoadMs: Millis;
  /** With all rows taken, prompts and completions as they came lately. */
  readonly tokensPerSecondMax: number;
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

/** What the leading scheduler wants. Immutable. */
export interface PlacementPlan {
  /** Who leads, as far as is known; undefined: nobody. */
  readonly leader: string | undefined;
  /** Grows with every change of leader; 0: told by a scheduler that does not lead. */
  readonly leaderEpoch: number;
  /** Where deltas are wanted, as far as that is not their home alone. */
  readonly copies: ReadonlyMap<DeltaDigest, readonly NodeId[]>;
  readonly bases: ReadonlyMap<BaseDigest, BaseTarget>;
  /** Nodes that leave. */
  readonly handovers: ReadonlyMap<NodeId, Handover>;
}

/** How much of the cluster a base needs. */
export interface BaseTarget {
  readonly name: string;
  readonly nodesWanted: number;
  /** Weighted tokens per second that its deltas are asked for. */
  readonly demand: number;
}

/** How many of a leaving node's hot deltas have a place elsewhere by now. */
export interface Handover {
  readonly copiesWanted: number;
  readonly copiesDone: number;
}

/** The cluster at one moment; what every placement decision is a function of. Immutable. */
export interface Snapshot {
  readonly version: number;
  readonly nodes: ReadonlyMap<NodeId, NodeView>;
  /** Undefined before a scheduler has told. */
  readonly plan?: PlacementPlan | undefined;
}

export const EMPTY_SNAPSHOT: Snapshot = { version: 0, nodes: new Map() };
