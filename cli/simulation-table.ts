import type { Comparison, Interval, Metric, Waits } from "#scheduler/sim";

/** What a table of policies shows, with its titles. */
export const SIMULATION_COLUMNS: readonly (readonly [Metric, string])[] = [
  ["ttft_ms_p50", "TTFT p50 ms"],
  ["ttft_ms_p99", "TTFT p99 ms"],
  ["hit_share", "in slot"],
  ["hit_share_ram", "in RAM"],
  ["hit_share_disk", "on disk"],
  ["loads_per_s", "loads/s"],
  ["load_mb_per_s", "MB/s"],
  ["store_mb_per_s", "store MB/s"],
  ["slo_share", "SLO"],
  ["slo_delta_share", "deltas at SLO"],
  ["jain", "Jain"],
  ["churn", "churn"],
  ["imbalance", "imbalance"],
];
/** What the slowest requests waited for, one after the other. */
const WAITS_COLUMNS: readonly (readonly [keyof Waits, string])[] = [
  ["slotMs", "slowest 2 %: slot ms"],
  ["loadMs", "load ms"],
  ["rowMs", "row ms"],
  ["promptMs", "prompt ms"],
];

/** A row for each policy, each figure with its 95 % interval. */
export function tableOf({ policies }: Comparison): Record<string, string | number>[] {
  return policies.map(({ policy, figures, waits, nodesAtSlo }) => ({
    policy: policy.name,
    ...Object.fromEntries(SIMULATION_COLUMNS.map(([metric, title]) => [title, shortInterval(figures[metric])])),
    ...(waits && Object.fromEntries(WAITS_COLUMNS.map(([wait, title]) => [title, shortInterval(waits[wait])]))),
    ...(nodesAtSlo && { "nodes at SLO": shortInterval(nodesAtSlo) }),
  }));
}

function shortInterval({ mean, halfWidth }: Interval): string {
  return `${short(mean)} ±${short(halfWidth)}`;
}

export function short(value: number): string {
  return Math.abs(value) >= 100 ? value.toFixed(0) : Math.abs(value) >= 10 ? value.toFixed(1) : value.toFixed(3);
}
