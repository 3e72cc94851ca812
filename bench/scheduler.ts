import {
  asBaseDigest,
  asDeltaDigest,
  asNodeId,
  asTenantId,
  type BaseLoad,
  type BaseTiming,
  MIB,
  type NodeView,
  type Residency,
  type Tier,
} from "#kernel";
import { ClusterIndex, DemandBook, HomeRing, NodePick, Placement } from "#scheduler";
import { type BenchOptions, type BenchReport, type BenchRow, createReport } from "./report.ts";
import { quantile } from "./statistics.ts";

interface Size {
  readonly nodes: number;
  readonly deltas: number;
}

const PICK_SIZES: readonly Size[] = [
  { nodes: 10, deltas: 1_000 },
  { nodes: 100, deltas: 10_000 },
  { nodes: 1_000, deltas: 100_000 },
];
const ROUND_SIZES: readonly Size[] = [
  { nodes: 100, deltas: 10_000 },
  { nodes: 1_000, deltas: 100_000 },
  { nodes: 10_000, deltas: 1_000_000 },
];
const PICKS = 50_000;
const QUICK_PICKS = 5_000;
/** The first picks compile the code. */
const WARM_UP_PICKS = 5_000;
const SLOTS = 64;
const RAM_DELTAS = 128;
const SIZE_BYTES = 32 * MIB;
const RANK = 16;
const MOVES_MAX = 1_000;

/** What decisions cost: a pick per request, and a placement round per few seconds, as the cluster grows. */
export async function benchScheduler({ quick, progress }: BenchOptions): Promise<BenchReport> {
  const rows: BenchRow[] = [];
  const summary: Record<string, number> = {};
  for (const size of PICK_SIZES) {
    progress?.(`pick: ${size.nodes} nodes, ${size.deltas} deltas`);
    const us = measurePicks(size, quick ? QUICK_PICKS : PICKS);
    rows.push({
      decision: "pick",
      ...size,
      "p50 µs": quantile(us, 0.5),
      "p99 µs": quantile(us, 0.99),
      "first s": "",
      "next s": "",
      MB: "",
    });
    summary["pick_us_p99"] = quantile(us, 0.99);
  }
  for (const size of ROUND_SIZES) {
    progress?.(`round: ${size.nodes} nodes, ${size.deltas} deltas`);
    const { firstS, nextS, moves } = measureRounds(size);
    const megabytes = process.memoryUsage().rss / 1e6;
    rows.push({
      decision: `round, ${moves} moves`,
      ...size,
      "p50 µs": "",
      "p99 µs": "",
      "first s": firstS,
      "next s": nextS,
      MB: megabytes,
    });
    summary["round_s_10k_nodes_1m_deltas"] = firstS;
    summary["round_mb_10k_nodes_1m_deltas"] = megabytes;
  }
  return createReport("scheduler", rows, summary);
}

const BASE = asBaseDigest("b".repeat(64));
const IDLE: BaseLoad = {
  name: "bench",
  ...{ architecture: "llama", vocabularySize: 256, parameterCount: 1_000, weightType: "float32", directory: "base" },
  ...{ contextTokensMax: 2048, rankMax: 64, rowsRunning: 0, rowsMax: 32, queueDepth: 0, queueDepthMax: 256 },
  ...{ slotsUsed: SLOTS, slotsMax: SLOTS, kvTokensUsed: 0, kvTokensMax: 65_536, tokensPerSecond: 0 },
};
const TIMING: BaseTiming = {
  ...{ stepMs: 40, rowMs: 1, meanRowMs: 2000, promptTokenMs: 0.7, promptTokensWaiting: 0, starvedLoads: 0, slotsInUse: SLOTS / 5 },
  ...{ slotLoadMs: 10, ramLoadMs: 40, diskLoadMs: 250, tokensPerSecondMax: 1000 },
};

function measurePicks({ nodes, deltas }: Size, picks: number): readonly number[] {
  const draw = generator();
  const index = new ClusterIndex({ baseDigest: BASE });
  const digests = Array.from({ length: deltas }, (_, delta) => asDeltaDigest(`delta-${delta}`));
  for (const digest of digests) index.numberOf(digest, RANK);
  for (let node = 0; node < nodes; node++) index.setNode(createNode(node, digests, draw));
  const pick = new NodePick(index);
  const us: number[] = [];
  for (let number = 0; number < picks + WARM_UP_PICKS; number++) {
    const digest = digests[popular(deltas, draw())]!;
    const startedMs = performance.now();
    const delta = index.numberOf(digest, RANK);
    const node = pick.pick({ delta, deltaHash: index.hashOf(delta), promptTokens: 100, patienceMs: 1000 });
    const tookUs = 1000 * (performance.now() - startedMs);
    if (node === undefined) throw new Error("bench scheduler: nobody was picked");
    if (number >= WARM_UP_PICKS) us.push(tookUs);
  }
  return us;
}

function createNode(node: number, digests: readonly ReturnType<typeof asDeltaDigest>[], draw: () => number): NodeView {
  const residencies = Array.from({ length: SLOTS + RAM_DELTAS }, (_, place): [(typeof digests)[number], Residency] => {
    const tier: Tier = place < SLOTS ? "slot" : "ram";
    const references = draw() < 0.2 ? 1 : 0;
    const what = { tier, state: "ready", tenantId: asTenantId("acme"), baseDigest: BASE, rank: RANK } as const;
    return [digests[popular(digests.length, draw())]!, { ...what, sizeBytes: SIZE_BYTES, references, pinned: false }];
  });
  return {
    id: asNodeId(`node-${node}`),
    address: `node-${node}:7000`,
    ...{ state: "ready", epoch: "1", reportedAt: 0 },
    bases: new Map([[BASE, { ...IDLE, rowsRunning: Math.floor(draw() * 32), queueDepth: draw() < 0.2 ? 8 : 0, timing: TIMING }]]),
    deltas: new Map(residencies),
  };
}

/** The first round begins with nothing: ring, copies and balance of everything. The next has the same demand. */
function measureRounds({ nodes, deltas }: Size): { firstS: number; nextS: number; moves: number } {
  const draw = generator();
  const demand = new DemandBook();
  for (let delta = 0; delta < deltas; delta++) demand.observe(delta, 1e6 / (delta + 1) + 1, 0);
  const deltaHash = Uint32Array.from({ length: deltas }, () => Math.floor(draw() * 2 ** 32));
  const numbers = Array.from({ length: nodes }, (_, node) => node);
  const hashes = numbers.map((node) => ({ node, hash: Math.floor(draw() * 2 ** 32) }));
  const placement = new Placement();
  const options = { nodeRate: 300_000 / nodes, copiesMax: nodes, movesMax: MOVES_MAX };
  const startedMs = performance.now();
  const input = { ring: new HomeRing(hashes), nodes: numbers, deltaHash, demand, nowMs: 1 };
  const moves = placement.round(input, options).length;
  const firstMs = performance.now() - startedMs;
  placement.round({ ...input, nowMs: 2 }, options);
  return { firstS: firstMs / 1000, nextS: (performance.now() - startedMs - firstMs) / 1000, moves };
}

/** Zipf-like with exponent 1: evenly spread in logarithm. */
function popular(count: number, drawn: number): number {
  return Math.min(count - 1, Math.floor(count ** drawn) - 1 + Math.floor(drawn * 3));
}

/** Park and Miller's generator: the same on every machine. */
function generator(): () => number {
  let state = 1;
  return () => {
    state = (state * 48_271) % 2_147_483_647;
    return state / 2_147_483_647;
  };
}
