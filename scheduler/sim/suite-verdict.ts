import { joinSeeds, type Metric, type SeedComparison, type SeedRun } from "./comparison.ts";
import { confidence, type Interval } from "./confidence.ts";
import { POLICIES } from "./policies/index.ts";

/** Ours beside the best of the other online policies, which is the one with the least mean 99th percentile of the time to first token. */
export interface SuiteVerdict {
  readonly best: string;
  /** Ours over theirs, seed by seed on the same workload. */
  readonly p99Ratio: Interval;
  readonly p50OverOracle: Interval;
  readonly loadsRatio: Interval;
  /** What nobody can do better: the oracle's 99th percentile over the best other's, or that of the pick of ours with everything cached. */
  readonly boundP99Ratio: Interval;
  /** With sizing only: nodes of ours over the fewest that another needs. */
  readonly nodesRatio: Interval | undefined;
}

const OURS = "ours";
const ORACLE = "oracle";
const BOUNDS = [ORACLE, "cached-ours"];

export function verdictOf(seeds: readonly SeedComparison[]): SuiteVerdict {
  const { policies } = joinSeeds(seeds);
  const others = policies.filter(({ policy }) => (POLICIES.get(policy.name)!.role ?? "online") === "online" && policy.name !== OURS);
  const best = least(others, ({ figures }) => figures.ttft_ms_p99.mean).policy.name;
  const ratio = (one: string, other: string, metric: Metric) =>
    confidence(seeds.map((seed) => of(seed, one).figures[metric] / Math.max(of(seed, other).figures[metric], Number.MIN_VALUE)));
  const bounds = BOUNDS.filter((name) => policies.some(({ policy }) => policy.name === name));
  const sized = others.filter(({ nodesAtSlo }) => nodesAtSlo);
  const fewest = sized.length > 0 ? least(sized, ({ nodesAtSlo }) => nodesAtSlo!.mean).policy.name : undefined;
  return {
    best,
    p99Ratio: ratio(OURS, best, "ttft_ms_p99"),
    p50OverOracle: ratio(OURS, ORACLE, "ttft_ms_p50"),
    loadsRatio: ratio(OURS, best, "loads_per_s"),
    boundP99Ratio: least(
      bounds.map((name) => ratio(name, best, "ttft_ms_p99")),
      ({ mean }) => mean,
    ),
    nodesRatio:
      fewest === undefined ? undefined : confidence(seeds.map((seed) => of(seed, OURS).nodesAtSlo! / of(seed, fewest).nodesAtSlo!)),
  };
}

function of({ runs }: SeedComparison, name: string): SeedRun {
  return runs.find(({ policy }) => policy === name)!;
}

function least<T>(items: readonly T[], value: (item: T) => number): T {
  return items.reduce((best, item) => (value(item) < value(best) ? item : best));
}
