import { type Clock, Fault, MINUTE, type Millis, seededRandom } from "#kernel";
import { confidence, type Interval } from "./confidence.ts";
import type { Workload } from "./delta-catalog.ts";
import { standardFaults } from "./fault-plan.ts";
import { DEFAULT_NODE_MODEL, NODE_MODELS, type NodeModel } from "./node-model.ts";
import { POLICIES } from "./policies/index.ts";
import type { Policy } from "./policy.ts";
import { figuresOf, type SimFigures } from "./sim-figures.ts";
import { simulate } from "./simulator.ts";
import { nodesForSlo } from "./sizing.ts";
import { type Waits, waitsOf } from "./waits.ts";
import { ARRIVALS, type ArrivalsName } from "./workloads/arrivals.ts";
import type { TraceRequest } from "./workloads/trace-file.ts";
import { createTraceWorkload, createWorkload } from "./workloads/workload.ts";

export interface ComparisonOptions {
  readonly workload: ArrivalsName | readonly TraceRequest[];
  readonly policies: readonly string[];
  readonly nodeCount: number;
  readonly deltaCount: number;
  readonly oversubscription: number;
  readonly seeds: number;
  readonly durationMs: Millis;
  readonly load: number;
  readonly skew: number;
  readonly model: string;
  readonly faults: boolean;
  /** Also find how many nodes each policy needs for this share of requests within the promise; takes several runs more. */
  readonly sizeForSlo?: number | undefined;
  /** Also tell what the slowest requests waited for. */
  readonly waits?: boolean | undefined;
  readonly signal?: AbortSignal | undefined;
  readonly progress?: ((line: string) => void) | undefined;
}

export const COMPARISON_DEFAULTS = {
  nodeCount: 8,
  deltaCount: 1000,
  oversubscription: 8,
  seeds: 10,
  durationMs: 10 * MINUTE,
  load: 0.6,
  skew: 1,
  model: DEFAULT_NODE_MODEL,
  faults: false,
} satisfies Partial<ComparisonOptions>;

export type Metric = keyof SimFigures;

/** What one policy came to on one seed's workload. */
export interface SeedRun {
  readonly policy: string;
  readonly figures: SimFigures;
  /** With `waits` only. */
  readonly waits?: Waits;
  /** With `sizeForSlo` only. */
  readonly nodesAtSlo?: number;
  readonly eventHash: string;
}

/** All policies on one seed's workload. Plain values: it travels between processes and into files. */
export interface SeedComparison {
  readonly seed: number;
  readonly requests: number;
  readonly runs: readonly SeedRun[];
  /** Virtual time of the policies' runs, and the time that they took by the caller's count. */
  readonly virtualMs: Millis;
  readonly tookMs: Millis;
}

/** One policy over all seeds. */
export interface ComparedPolicy {
  readonly policy: Policy;
  readonly figures: Readonly<Record<Metric, Interval>>;
  /** With `waits` only. */
  readonly waits: Readonly<Record<keyof Waits, Interval>> | undefined;
  /** With `sizeForSlo` only. */
  readonly nodesAtSlo: Interval | undefined;
  /** Of the first seed: the same on every run. */
  readonly eventHash: string;
}

export interface Comparison {
  readonly policies: readonly ComparedPolicy[];
  readonly requests: number;
  /** Virtual time of all runs over the time they took. */
  readonly speedOverRealTime: number;
}

/** Runs every policy on the same workloads, one per seed. */
export function compare(options: ComparisonOptions, clock: Clock): Comparison {
  const seeds: SeedComparison[] = [];
  for (let seed = 1; seed <= options.seeds; seed++) {
    options.signal?.throwIfAborted();
    const compared = compareOnSeed(options, seed, () => clock.monotonic());
    options.progress?.(`seed ${seed} of ${options.seeds}: ${compared.requests} requests`);
    seeds.push(compared);
  }
  return joinSeeds(seeds);
}

/** Runs every policy on one seed's workload. `spentMs` counts the time that simulating takes. */
export function compareOnSeed(options: ComparisonOptions, seed: number, spentMs: () => Millis): SeedComparison {
  const model = chosen(NODE_MODELS, options.model, "model");
  const policies = options.policies.map(policyOf);
  const workload = workloadOf(options, model, seed);
  const { nodeCount, oversubscription, sizeForSlo } = options;
  const faults = options.faults ? standardFaults(options.durationMs, nodeCount) : [];
  let tookMs = 0;
  const runs = policies.map((policy): SeedRun => {
    const startedMs = spentMs();
    const run = simulate(workload, policy, { model, nodeCount, oversubscription, faults }, seededRandom(seed));
    tookMs += spentMs() - startedMs;
    const waits = options.waits ? { waits: waitsOf(run) } : {};
    const result = { policy: policy.name, figures: figuresOf(run, model.sloMs), ...waits, eventHash: run.eventHash };
    if (sizeForSlo === undefined) return result;
    return { ...result, nodesAtSlo: nodesForSlo(workload, policy, { model, nodeCount, oversubscription }, sizeForSlo, seed) };
  });
  return { seed, requests: workload.requestCount, runs, virtualMs: options.durationMs * policies.length, tookMs };
}

/** Means and intervals over seeds that ran the same policies. */
export function joinSeeds(seeds: readonly SeedComparison[]): Comparison {
  const sum = (value: (seed: SeedComparison) => number) => seeds.reduce((total, seed) => total + value(seed), 0);
  const policies = seeds[0]!.runs.map(({ policy, eventHash }, index): ComparedPolicy => {
    const runs = seeds.map((seed) => seed.runs[index]!);
    const waits = runs.flatMap((run) => run.waits ?? []);
    const nodes = runs.flatMap(({ nodesAtSlo }) => (nodesAtSlo === undefined ? [] : [nodesAtSlo]));
    return {
      ...{ policy: policyOf(policy), eventHash },
      figures: intervals(runs.map(({ figures }) => figures)),
      waits: waits.length > 0 ? intervals(waits) : undefined,
      nodesAtSlo: nodes.length > 0 ? confidence(nodes) : undefined,
    };
  });
  return {
    policies,
    requests: sum(({ requests }) => requests),
    speedOverRealTime:
      sum(({ virtualMs }) => virtualMs) /
      Math.max(
        sum(({ tookMs }) => tookMs),
        1e-3,
      ),
  };
}

function policyOf(name: string): Policy {
  return chosen(Object.fromEntries(POLICIES), name, "policy");
}

function workloadOf(options: ComparisonOptions, model: NodeModel, seed: number): Workload {
  const random = seededRandom(seed);
  if (typeof options.workload !== "string") return createTraceWorkload(options.workload, { ...options, model }, random);
  chosen(ARRIVALS, options.workload, "workload");
  return createWorkload(options.workload, { ...options, model }, random);
}

function intervals<K extends string>(runs: readonly Readonly<Record<K, number>>[]): Record<K, Interval> {
  const keys = Object.keys(runs[0]!) as K[];
  return Object.fromEntries(keys.map((key) => [key, confidence(runs.map((run) => run[key]))])) as Record<K, Interval>;
}

function chosen<T>(choices: Readonly<Record<string, T>>, name: string, field: string): T {
  const value = Object.hasOwn(choices, name) ? choices[name] : undefined;
  if (value) return value;
  throw new Fault("parameter_invalid", `no ${field} ${name}; there are ${Object.keys(choices).join(", ")}`, { detail: { field } });
}
