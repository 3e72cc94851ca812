import {
  asBaseDigest,
  asDeltaDigest,
  asNodeId,
  asTenantId,
  type BaseLoad,
  type BaseTiming,
  type DeltaDigest,
  MIB,
  type NodeView,
  type Residency,
  type Tier,
} from "#kernel";

export interface ClusterSize {
  readonly nodes: number;
  readonly deltas: number;
}

export const BASE = asBaseDigest("b".repeat(64));
export const TENANT = asTenantId("acme");
export const RANK = 16;

const SLOTS = 64;
const RAM_DELTAS = 128;
const ROWS = 32;
/** Of rows that use a delta, in slots: a fifth is what nodes at three fifths of their load have. */
const IN_USE_SHARE = 0.2;
const IDLE: BaseLoad = {
  name: "bench",
  ...{ architecture: "llama", vocabularySize: 256, parameterCount: 1_000, weightType: "float32", directory: "base" },
  ...{ contextTokensMax: 2048, rankMax: 64, rowsRunning: 0, rowsMax: ROWS, queueDepth: 0, queueDepthMax: 256 },
  ...{ slotsUsed: SLOTS, slotsMax: SLOTS, kvTokensUsed: 0, kvTokensMax: 65_536, tokensPerSecond: 0 },
};
const TIMING: BaseTiming = {
  ...{ stepMs: 40, rowMs: 1, meanRowMs: 2000, promptTokenMs: 0.7, promptTokensWaiting: 0, starvedLoads: 0 },
  ...{ slotsInUse: SLOTS * IN_USE_SHARE, slotLoadMs: 10, ramLoadMs: 40, diskLoadMs: 250, tokensPerSecondMax: 1000 },
};

/** Nodes as they report themselves, with slots and RAM full of deltas, the popular ones on many; the same on every machine. */
export class GeneratedCluster {
  readonly size: ClusterSize;
  readonly digests: readonly DeltaDigest[];
  readonly #drawn = generator();
  readonly #isFull: boolean;

  /** `isFull`: no node has room for one more. */
  constructor(size: ClusterSize, isFull = false) {
    this.size = size;
    this.digests = Array.from({ length: size.deltas }, (_, delta) => asDeltaDigest(`delta-${delta}`));
    this.#isFull = isFull;
  }

  /** Zipf-like with exponent 1: evenly spread in logarithm. */
  popular(): DeltaDigest {
    const { deltas } = this.size;
    const drawn = this.#drawn();
    return this.digests[Math.min(deltas - 1, Math.floor(deltas ** drawn) - 1 + Math.floor(drawn * 3))]!;
  }

  /** A node, or its next report: as busy as chance will have it. */
  node(number: number): NodeView {
    const residencies = Array.from({ length: SLOTS + RAM_DELTAS }, (_, place): [DeltaDigest, Residency] => [
      this.popular(),
      this.residency(place < SLOTS ? "slot" : "ram"),
    ]);
    return this.#view(number, new Map(residencies));
  }

  /** The node's next report: other rows, and one delta in place of another. */
  report({ id, deltas }: NodeView, at: number): NodeView {
    const changed = new Map(deltas);
    changed.delete(changed.keys().next().value!);
    changed.set(this.popular(), this.residency("slot"));
    return { ...this.#view(Number(id.slice("node-".length)), changed), reportedAt: at };
  }

  residency(tier: Tier): Residency {
    const what = { tier, state: "ready", tenantId: TENANT, baseDigest: BASE, rank: RANK } as const;
    return { ...what, sizeBytes: 32 * MIB, references: this.#drawn() < IN_USE_SHARE ? 1 : 0, pinned: false };
  }

  #view(number: number, deltas: NodeView["deltas"]): NodeView {
    const rowsRunning = this.#isFull ? ROWS : Math.floor(this.#drawn() * ROWS);
    const queueDepth = this.#isFull ? IDLE.queueDepthMax : this.#drawn() < IN_USE_SHARE ? 8 : 0;
    return {
      id: asNodeId(`node-${number}`),
      address: `node-${number}:7000`,
      ...{ state: "ready", epoch: "1", reportedAt: 0, deltas },
      bases: new Map([[BASE, { ...IDLE, rowsRunning, queueDepth, timing: TIMING }]]),
    };
  }
}

/** Park and Miller's generator. */
function generator(): () => number {
  let state = 1;
  return () => {
    state = (state * 48_271) % 2_147_483_647;
    return state / 2_147_483_647;
  };
}
