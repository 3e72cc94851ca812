import {
  asBaseDigest,
  asDeltaDigest,
  asNodeId,
  asTenantId,
  type BaseLoad,
  type DeltaDigest,
  type NodeView,
  type Residency,
  type Snapshot,
  seededRandom,
  type Tier,
} from "#kernel";
import { decide } from "../../decide.ts";
import { DISK, RAM, REMOTE, SLOT } from "../node-model.ts";
import type { Policy, SimCluster } from "../policy.ts";
import type { SimNode } from "../sim-node.ts";

const BASE = asBaseDigest("base");
const TENANT = asTenantId("tenant");
const NOBODY = new Set<never>();
/** Prompts fit: the simulator has no key-value memory, so the score for it must not tell nodes apart. */
const MEMORY = { kvTokensUsed: 0, kvTokensMax: 2 ** 40 };
/** No request is refused by the simulator's nodes. */
const QUEUE_DEPTH_MAX = 2 ** 30;

export const decidePolicy: Policy = {
  name: "decide",
  source: "scheduler/decide.ts as routers call it: filter, place, score, pick over a snapshot; LRU on the nodes",
  start(cluster, random) {
    const draws = seededRandom(random.below(2 ** 32));
    const views = cluster.nodes.map((node) => viewOf(cluster, node));
    let alive = cluster.alive;
    let snapshot = snapshotOf(views, alive);
    return {
      route({ delta, promptTokens }) {
        if (alive !== cluster.alive) {
          alive = cluster.alive;
          snapshot = snapshotOf(views, alive);
        }
        const deltaDigest = asDeltaDigest(String(delta));
        const ask = {
          tenantId: TENANT,
          baseDigest: BASE,
          deltaDigest,
          excludedNodes: NOBODY,
          promptTokensEstimate: promptTokens,
          maxTokens: 256,
        };
        const decision = decide(ask, snapshot, draws);
        if (decision.kind === "none") return alive[0]!;
        return Number(decision.node.id);
      },
    };
  },
};

function snapshotOf(views: readonly NodeView[], alive: readonly number[]): Snapshot {
  return { version: 1, nodes: new Map(alive.map((node) => [views[node]!.id, views[node]!])) };
}

/** A view that is read through to the node: reports are instant here, and copying them would cost more than deciding. */
function viewOf(cluster: SimCluster, node: SimNode): NodeView {
  return {
    id: asNodeId(String(node.index)),
    address: "",
    ...{ state: "ready", epoch: "1", reportedAt: 0 },
    bases: new Map([[BASE, new LiveLoad(cluster, node) as BaseLoad]]),
    deltas: new LiveDeltas(cluster, node),
  };
}

class LiveLoad {
  readonly #node: SimNode;
  readonly name = "base";
  readonly architecture = "llama";
  readonly contextTokensMax = 2 ** 20;
  readonly vocabularySize = 1;
  readonly parameterCount = 1;
  readonly weightType = "float32";
  readonly directory = "";
  readonly rankMax = 512;
  readonly queueDepthMax = QUEUE_DEPTH_MAX;
  readonly kvTokensUsed = MEMORY.kvTokensUsed;
  readonly kvTokensMax = MEMORY.kvTokensMax;
  readonly tokensPerSecond = 0;
  readonly rowsMax: number;

  constructor(cluster: SimCluster, node: SimNode) {
    this.#node = node;
    this.rowsMax = cluster.model.rowsMax;
  }

  get rowsRunning(): number {
    return Math.min(this.rowsMax, this.#node.rowsAhead);
  }

  get queueDepth(): number {
    return Math.max(0, this.#node.rowsAhead - this.rowsMax);
  }

  /** In bytes: slots have no fixed number here. */
  get slotsUsed(): number {
    return this.#node.loads.slots.usedBytes;
  }

  get slotsMax(): number {
    return this.#node.loads.slots.capacityBytes;
  }
}

const TIERS: Readonly<Record<number, Tier>> = { [SLOT]: "slot", [RAM]: "ram", [DISK]: "disk" };

class LiveDeltas extends Map<DeltaDigest, Residency> {
  readonly #cluster: SimCluster;
  readonly #node: SimNode;

  constructor(cluster: SimCluster, node: SimNode) {
    super();
    this.#cluster = cluster;
    this.#node = node;
  }

  override get(digest: DeltaDigest): Residency | undefined {
    const delta = Number(digest);
    const { loads } = this.#node;
    const entry = loads.slots.get(delta);
    const tier = entry ? SLOT : loads.tier(delta);
    if (tier === REMOTE) return undefined;
    return {
      tier: TIERS[tier]!,
      state: entry && entry.readyAtMs > this.#cluster.nowMs ? "loading" : "ready",
      ...{ tenantId: TENANT, baseDigest: BASE, pinned: false },
      rank: this.#cluster.deltas.rank[delta]!,
      sizeBytes: this.#cluster.deltas.sizeBytes[delta]!,
      references: entry?.references ?? 0,
    };
  }
}
