import {
  asBaseDigest,
  asNodeId,
  type BaseDigest,
  type BaseLoad,
  type DeltaDigest,
  Fault,
  type NodeId,
  type NodeState,
  type NodeView,
  type Residency,
  type Snapshot,
  sha256Hex,
} from "#kernel";
import type { ClusterView, NodeClient } from "../nodes/index.ts";

export const BASE_NAME = "demo-base";
export const BASE_DIGEST: BaseDigest = asBaseDigest(sha256Hex("demo-base"));

const LOAD: BaseLoad = {
  ...{ architecture: "llama", vocabularySize: 256, parameterCount: 1_000, weightType: "float32", directory: "/bases/demo-base" },
  ...{ name: BASE_NAME, contextTokensMax: 512, rankMax: 64, rowsRunning: 0, rowsMax: 16, queueDepth: 0, queueDepthMax: 64 },
  ...{ slotsUsed: 0, slotsMax: 16, kvTokensUsed: 0, kvTokensMax: 8192, tokensPerSecond: 0 },
};

export interface NodeWish {
  readonly state?: NodeState;
  readonly load?: Partial<BaseLoad>;
  readonly deltas?: ReadonlyMap<DeltaDigest, Residency>;
  readonly reportedAt?: number;
}

export function nodeView(id: string, wish: NodeWish = {}): NodeView {
  return {
    id: asNodeId(id),
    address: `${id}:1`,
    state: wish.state ?? "ready",
    epoch: "1",
    bases: new Map([[BASE_DIGEST, { ...LOAD, ...wish.load }]]),
    deltas: wish.deltas ?? new Map(),
    reportedAt: wish.reportedAt ?? 0,
  };
}

export function snapshotOf(views: readonly NodeView[], version = 1): Snapshot {
  return { version, nodes: new Map(views.map((view) => [view.id, view])) };
}

/** A cluster view that shows what the test last set. */
export function settableCluster(first: Snapshot): ClusterView & { set(snapshot: Snapshot): void } {
  let snapshot = first;
  return {
    get snapshot() {
      return snapshot;
    },
    set(next) {
      snapshot = next;
    },
    ageMs: () => 0,
    drain: () => Promise.reject(new Fault("node_lost", "there is no scheduler")),
    [Symbol.asyncDispose]: async () => undefined,
  };
}

/** One ready view for each node. */
export function viewsOf(nodes: ReadonlyMap<NodeId, NodeClient>): readonly NodeView[] {
  return [...nodes.keys()].map((id) => nodeView(id));
}
