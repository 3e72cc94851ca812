import type { NodeView, Snapshot } from "#kernel";
import { ClusterPicks } from "#scheduler";
import { BasePlacement } from "#scheduler/service";
import { type BenchOptions, type BenchReport, type BenchRow, createReport } from "./report.ts";
import { BASE, type ClusterSize, GeneratedCluster, RANK, TENANT } from "./scheduler-cluster.ts";
import { quantile } from "./statistics.ts";

const PICK_SIZES: readonly ClusterSize[] = [
  { nodes: 10, deltas: 1_000 },
  { nodes: 100, deltas: 10_000 },
  { nodes: 1_000, deltas: 100_000 },
];
const ROUND_SIZES: readonly ClusterSize[] = [
  { nodes: 100, deltas: 10_000 },
  { nodes: 1_000, deltas: 100_000 },
  { nodes: 10_000, deltas: 1_000_000 },
];
const PICKS = 50_000;
const QUICK_PICKS = 5_000;
/** The first picks compile the code. */
const WARM_UP_PICKS = 5_000;
/** Between two picks, as often as a router of a thousand requests a second hears of 20 snapshots. */
const PICKS_PER_SNAPSHOT = 50;
/** Of a thousand nodes that report every second, so many in 50 ms. */
const REPORTS_PER_SNAPSHOT = 50;
const ROUNDS = 4;
const LIMITS = { movesMax: 1_000, loadsPerNodeMax: 8, idleMsMax: Number.POSITIVE_INFINITY };
const NO_NODES: ReadonlySet<number> = new Set();

/** What decisions cost as the cluster grows: a pick per request, a report per node and second, a placement round per second. */
export async function benchScheduler({ quick, progress }: BenchOptions): Promise<BenchReport> {
  const rows: BenchRow[] = [];
  const summary: Record<string, number> = {};
  for (const size of ROUND_SIZES) {
    progress?.(`round: ${size.nodes} nodes, ${size.deltas} deltas`);
    const { firstS, nextS, moves } = measureRounds(size);
    const megabytes = process.memoryUsage().rss / 1e6;
    rows.push({ ...row(`round, ${moves} moves first`, size), "first s": firstS, "next s": nextS, MB: megabytes });
    summary["round_s_10k_nodes_1m_deltas"] = Math.max(firstS, nextS);
    summary["round_mb_10k_nodes_1m_deltas"] = megabytes;
  }
  for (const size of PICK_SIZES) {
    for (const isFull of [false, true]) {
      progress?.(`pick: ${size.nodes} nodes${isFull ? ", all full" : ""}, ${size.deltas} deltas`);
      const { pickUs, reportUs } = measurePicks(size, quick ? QUICK_PICKS : PICKS, isFull);
      const [p50, p99] = [quantile(pickUs, 0.5), quantile(pickUs, 0.99)];
      rows.push({ ...row(isFull ? "pick, all nodes full" : "pick", size), "p50 µs": p50, "p99 µs": p99 });
      summary[isFull ? "pick_full_us_p99" : "pick_us_p99"] = p99;
      if (isFull) continue;
      rows.push({ ...row("report of a node", size), "p50 µs": quantile(reportUs, 0.5), "p99 µs": quantile(reportUs, 0.99) });
      summary["report_us_p50"] = quantile(reportUs, 0.5);
    }
  }
  return createReport("scheduler", rows, summary);
}

const NO_FIGURES = { "p50 µs": "", "p99 µs": "", "first s": "", "next s": "", MB: "" };

function row(decision: string, size: ClusterSize): BenchRow {
  return { decision, ...size, ...NO_FIGURES };
}

/** What a router does for each request, and with each snapshot it hears of; microseconds, of reports the mean of a snapshot's. */
function measurePicks(size: ClusterSize, picks: number, isFull: boolean): { pickUs: readonly number[]; reportUs: readonly number[] } {
  const cluster = new GeneratedCluster(size, isFull);
  const views = Array.from({ length: size.nodes }, (_, number) => cluster.node(number));
  const clusterPicks = new ClusterPicks();
  let snapshot = snapshotOf(views, 1);
  clusterPicks.follow(snapshot);
  const common = { tenantId: TENANT, baseDigest: BASE, deltaRank: RANK, promptTokensEstimate: 100, maxTokens: 100 };
  const excludedNodes: ReadonlySet<never> = new Set();
  const [pickUs, reportUs]: number[][] = [[], []];
  for (let number = 0; number < picks + WARM_UP_PICKS; number++) {
    if (number % PICKS_PER_SNAPSHOT === 0) {
      const reporting = Math.min(REPORTS_PER_SNAPSHOT, size.nodes);
      for (let report = 0; report < reporting; report++) {
        const node = (number + report) % size.nodes;
        views[node] = cluster.report(views[node]!, number);
      }
      snapshot = snapshotOf(views, number + 2);
      const tookUs = timedUs(() => clusterPicks.follow(snapshot)).us / reporting;
      if (number >= WARM_UP_PICKS) reportUs!.push(tookUs);
    }
    const ask = { ...common, deltaDigest: cluster.popular(), excludedNodes };
    const { us, result } = timedUs(() => clusterPicks.pick(ask, () => true));
    if ((result.kind === "none") !== isFull) throw new Error(`bench scheduler: ${result.kind} was picked`);
    if (result.kind === "node") clusterPicks.answered(ask, result.node.id);
    if (number >= WARM_UP_PICKS) pickUs!.push(us);
  }
  return { pickUs: pickUs!, reportUs: reportUs! };
}

/** What the leader does every second for a base. The first round begins with nothing: ring, copies and balance of everything; of the others the slowest. */
function measureRounds(size: ClusterSize): { firstS: number; nextS: number; moves: number } {
  const cluster = new GeneratedCluster(size);
  const placement = new BasePlacement(BASE, 0);
  for (let node = 0; node < size.nodes; node++) placement.setNode(cluster.node(node));
  const residency = cluster.residency("ram");
  for (const [delta, digest] of cluster.digests.entries()) placement.observe(digest, residency, (1000 * size.nodes) / (delta + 1) + 1, 0);
  const round = (now: number): number => {
    const moves = placement.round(NO_NODES, now, LIMITS);
    placement.loads(NO_NODES, now, LIMITS);
    placement.copies();
    placement.target(now, LIMITS);
    return moves.length;
  };
  const first = timedUs(() => round(1000));
  const next = Array.from({ length: ROUNDS }, (_, number) => timedUs(() => round(2000 + 1000 * number)).us);
  return { firstS: first.us / 1e6, nextS: Math.max(...next) / 1e6, moves: first.result };
}

function snapshotOf(views: readonly NodeView[], version: number): Snapshot {
  return { version, nodes: new Map(views.map((view) => [view.id, view])) };
}

function timedUs<T>(work: () => T): { us: number; result: T } {
  const startedMs = performance.now();
  const result = work();
  return { us: 1000 * (performance.now() - startedMs), result };
}
