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

/** One policy over all seeds. */
export interface ComparedPolicy {
  readonly policy: Policy;
  readonly figures: Readonly<Record<Metric, Interval>>;
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
  const model = chosen(NODE_MODELS, options.model, "model");
  const policies = options.policies.map((name) => chosen(Object.fromEntries(POLICIES), name, "policy"));
  const runs = new Map(policies.map((policy) => [policy, { figures: [] as SimFigures[], nodesAtSlo: [] as number[], eventHash: "" }]));
  let requests = 0;
  let tookMs = 0;
  for (let seed = 1; seed <= options.seeds; seed++) {
    const workload = workloadOf(options, model, seed);
    requests += workload.requestCount;
    for (const [policy, run] of runs) {
      options.signal?.throwIfAborted();
      const startedMs = clock.monotonic();
      const faults = options.faults ? standardFaults(options.durationMs, options.nodeCount) : [];
      const { nodeCount, oversubscription } = options;
      const result = simulate(workload, policy, { model, nodeCount, oversubscription, faults }, seededRandom(seed));
      tookMs += clock.monotonic() - startedMs;
      run.figures.push(figuresOf(result, model.sloMs));
      if (options.sizeForSlo !== undefined) {
        run.nodesAtSlo.push(nodesForSlo(workload, policy, { model, nodeCount, oversubscription }, options.sizeForSlo, seed));
      }
      if (seed === 1) run.eventHash = result.eventHash;
    }
    options.progress?.(`seed ${seed} of ${options.seeds}: ${workload.requestCount} requests`);
  }
  return {
    policies: [...runs].map(([policy, { figures, nodesAtSlo, eventHash }]) => ({
      ...{ policy, eventHash, figures: intervals(figures) },
      nodesAtSlo: nodesAtSlo.length > 0 ? confidence(nodesAtSlo) : undefined,
    })),
    requests,
    speedOverRealTime: (options.seeds * policies.length * options.durationMs) / Math.max(tookMs, 1e-3),
  };
}

function workloadOf(options: ComparisonOptions, model: NodeModel, seed: number): Workload {
  const random = seededRandom(seed);
  if (typeof options.workload !== "string") return createTraceWorkload(options.workload, { ...options, model }, random);
  chosen(ARRIVALS, options.workload, "workload");
  return createWorkload(options.workload, { ...options, model }, random);
}

function intervals(figures: readonly SimFigures[]): Record<Metric, Interval> {
  const metrics = Object.keys(figures[0]!) as Metric[];
  return Object.fromEntries(metrics.map((metric) => [metric, confidence(figures.map((one) => one[metric]))])) as Record<Metric, Interval>;
}

function chosen<T>(choices: Readonly<Record<string, T>>, name: string, field: string): T {
  const value = Object.hasOwn(choices, name) ? choices[name] : undefined;
  if (value) return value;
  throw new Fault("parameter_invalid", `no ${field} ${name}; there are ${Object.keys(choices).join(", ")}`, { detail: { field } });
}
