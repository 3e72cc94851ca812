import type { Millis } from "#kernel";
import { TIER_NAMES } from "./node-model.ts";
import { type SimRun, WARM_UP_SHARE } from "./simulator.ts";

/** What one run comes to. Milliseconds, shares of one, per second of virtual time. */
export interface SimFigures {
  readonly ttft_ms_p50: number;
  readonly ttft_ms_p99: number;
  /** Of requests: those that found their delta in a slot. */
  readonly hit_share: number;
  readonly hit_share_ram: number;
  readonly hit_share_disk: number;
  readonly loads_per_s: number;
  readonly load_mb_per_s: number;
  /** From the object store, to whatever tier. */
  readonly store_mb_per_s: number;
  /** Of requests: first token within the promise. */
  readonly slo_share: number;
  /** Of deltas that were asked for: those of which at least nine requests in ten were within the promise. */
  readonly slo_delta_share: number;
  /** Jain's index over deltas of tokens per second of waiting and generating: 1 when all are served alike. */
  readonly jain: number;
  /** Of requests: those that went to another node than their delta's last one. */
  readonly churn: number;
  /** The busiest node's time over the mean. */
  readonly imbalance: number;
  readonly tokens_per_s: number;
}

const SLO_DELTA_SHARE = 0.9;

export function figuresOf(run: SimRun, sloMs: Millis): SimFigures {
  const { workload, firstTokenMs, tier } = run;
  const from = firstMeasured(run);
  const count = workload.requestCount - from;
  const sorted = firstTokenMs.slice(from).sort();
  const quantile = (share: number) => sorted[Math.min(count - 1, Math.floor(share * count))] ?? Number.NaN;
  const tiers = new Float64Array(TIER_NAMES.length);
  let within = 0;
  let tokens = 0;
  for (let request = from; request < workload.requestCount; request++) {
    tiers[tier[request]!]!++;
    tokens += workload.outputTokens[request]!;
    if (firstTokenMs[request]! <= sloMs) within++;
  }
  const seconds = ((1 - WARM_UP_SHARE) * workload.durationMs) / 1000;
  const busyMs = run.nodes.map(({ batch }) => batch.busyMs);
  return {
    ttft_ms_p50: quantile(0.5),
    ttft_ms_p99: quantile(0.99),
    hit_share: tiers[0]! / count,
    hit_share_ram: tiers[1]! / count,
    hit_share_disk: tiers[2]! / count,
    loads_per_s: run.traffic.loadCount / seconds,
    load_mb_per_s: run.traffic.loadedBytes / 1e6 / seconds,
    store_mb_per_s: run.traffic.fetchedBytes / 1e6 / seconds,
    slo_share: within / count,
    ...deltaShares(run, from, sloMs),
    churn: churn(run, from),
    imbalance: (Math.max(...busyMs) * busyMs.length) / busyMs.reduce((sum, value) => sum + value, 0),
    tokens_per_s: tokens / seconds,
  };
}

/** The first request after the warm-up. */
export function firstMeasured({ workload }: SimRun): number {
  const fromMs = WARM_UP_SHARE * workload.durationMs;
  const found = workload.arrivedAtMs.findIndex((atMs) => atMs >= fromMs);
  return Math.max(0, found);
}

function deltaShares(run: SimRun, from: number, sloMs: Millis): { slo_delta_share: number; jain: number } {
  const { workload, firstTokenMs, doneMs } = run;
  const asked = new Float64Array(workload.deltas.count);
  const within = new Float64Array(workload.deltas.count);
  const tokens = new Float64Array(workload.deltas.count);
  const waitedMs = new Float64Array(workload.deltas.count);
  for (let request = from; request < workload.requestCount; request++) {
    const delta = workload.delta[request]!;
    asked[delta]!++;
    if (firstTokenMs[request]! <= sloMs) within[delta]!++;
    tokens[delta]! += workload.outputTokens[request]!;
    waitedMs[delta]! += doneMs[request]!;
  }
  let [deltas, kept, sum, squares] = [0, 0, 0, 0];
  for (let delta = 0; delta < workload.deltas.count; delta++) {
    if (asked[delta] === 0) continue;
    deltas++;
    if (within[delta]! >= SLO_DELTA_SHARE * asked[delta]!) kept++;
    const speed = tokens[delta]! / waitedMs[delta]!;
    sum += speed;
    squares += speed * speed;
  }
  return { slo_delta_share: kept / deltas, jain: (sum * sum) / (deltas * squares) };
}

function churn({ workload, node }: SimRun, from: number): number {
  const last = new Int32Array(workload.deltas.count).fill(-1);
  let moved = 0;
  let repeated = 0;
  for (let request = 0; request < workload.requestCount; request++) {
    const delta = workload.delta[request]!;
    if (request >= from && last[delta] !== -1) {
      repeated++;
      if (last[delta] !== node[request]) moved++;
    }
    last[delta] = node[request]!;
  }
  return repeated === 0 ? 0 : moved / repeated;
}
