import { type Bytes, MINUTE, type Millis, type Random } from "#kernel";
import type { Workload } from "../delta-catalog.ts";
import { createFastRandom, type FastRandom, standardNormal } from "../fast-random.ts";
import { type NodeModel, requestsPerSecond } from "../node-model.ts";
import { ARRIVALS, type ArrivalsName } from "./arrivals.ts";
import { Popularity } from "./popularity.ts";
import type { TraceRequest } from "./trace-file.ts";

export interface WorkloadOptions {
  readonly deltaCount: number;
  readonly nodeCount: number;
  readonly model: NodeModel;
  readonly durationMs: Millis;
  /** Of what the nodes could serve with full rows and every delta in a slot. */
  readonly load: number;
  /** Zipf's exponent. */
  readonly skew: number;
  readonly driftEveryMs?: Millis;
  readonly churnEveryMs?: Millis;
  /** Deltas have these ranks, in equal shares. */
  readonly ranks?: readonly number[];
}

/** Mixed as tenants mix them; LoRAServe's classes. */
const RANKS = [8, 16, 32, 64, 128] as const;
/** A new version every few minutes, as a fine-tuning service publishes them. */
const CHURN_EVERY_MS: Millis = 3 * MINUTE;
const DRIFT_EVERY_MS: Millis = 1000;
/** A crowd asks for one delta that was among the rare ones: the middle of the list. */
const CROWD_PLACE = 0.5;

interface Request {
  readonly atMs: Millis;
  readonly promptTokens: number;
  readonly outputTokens: number;
  readonly crowd: boolean;
}

/** A workload of synthetic arrivals and lengths. Equal seeds give equal workloads, whatever the policy. */
export function createWorkload(name: ArrivalsName, options: WorkloadOptions, random: Random): Workload {
  const { model } = options;
  const lengths = createFastRandom(random.fork("lengths"));
  const means = { prompt: meanTokens(model.promptTokens), output: meanTokens(model.outputTokens) };
  const perSecond = options.load * options.nodeCount * requestsPerSecond(model, means.prompt, means.output, meanRank(options));
  const arrivals = ARRIVALS[name]({ perSecond, durationMs: options.durationMs }, createFastRandom(random.fork("arrivals")));
  const requests = arrivals.map(({ atMs, crowd }) => ({
    atMs,
    crowd,
    promptTokens: drawTokens(model.promptTokens, lengths),
    outputTokens: drawTokens(model.outputTokens, lengths),
  }));
  return assemble(name, requests, options, random);
}

/**
 * A trace's arrivals and lengths; deltas are drawn. Its clock is stretched, or the trace repeated from another start, so that the load is the
 * one asked for over the whole duration: bursts keep their shape relative to the mean gap. Lengths are cut to the model's.
 */
export function createTraceWorkload(trace: readonly TraceRequest[], options: WorkloadOptions, random: Random): Workload {
  const { model } = options;
  const cut = trace.map(({ atMs, promptTokens, outputTokens }) => ({
    ...{ atMs, crowd: false },
    promptTokens: Math.min(promptTokens, model.promptTokens.max),
    outputTokens: Math.min(outputTokens, model.outputTokens.max),
  }));
  const mean = (value: (request: Request) => number) => cut.reduce((sum, request) => sum + value(request), 0) / cut.length;
  const capacity = requestsPerSecond(
    model,
    mean((request) => request.promptTokens),
    mean((request) => request.outputTokens),
    meanRank(options),
  );
  const perMs = (options.load * options.nodeCount * capacity) / 1000;
  const spanMs = cut.at(-1)!.atMs * (1 + 1 / cut.length);
  const stretch = cut.length / spanMs / perMs;
  const requests: Request[] = [];
  const first = random.fork("trace start").below(cut.length);
  for (let number = 0; ; number++) {
    const index = (first + number) % cut.length;
    const turns = Math.floor((first + number) / cut.length);
    const atMs = (turns * spanMs + cut[index]!.atMs - cut[first]!.atMs) * stretch;
    if (atMs >= options.durationMs) break;
    requests.push({ ...cut[index]!, atMs });
  }
  return assemble("trace", requests, options, random);
}

function assemble(name: string, requests: readonly Request[], options: WorkloadOptions, random: Random): Workload {
  const { deltaCount, durationMs, skew, model } = options;
  const popularity = new Popularity(
    {
      ...{ deltaCount, durationMs, exponent: skew },
      driftEveryMs: options.driftEveryMs ?? DRIFT_EVERY_MS,
      churnEveryMs: options.churnEveryMs ?? CHURN_EVERY_MS,
    },
    createFastRandom(random.fork("popularity")),
  );
  const crowdDelta = Math.floor(deltaCount * CROWD_PLACE);
  const delta = Int32Array.from(requests, ({ atMs, crowd }) => (crowd ? crowdDelta : popularity.draw(atMs)));
  return {
    ...{ name, durationMs, delta },
    requestCount: requests.length,
    arrivedAtMs: Float64Array.from(requests, ({ atMs }) => atMs),
    promptTokens: Int32Array.from(requests, ({ promptTokens }) => promptTokens),
    outputTokens: Int32Array.from(requests, ({ outputTokens }) => outputTokens),
    deltas: createCatalog(options, popularity, model.bytesPerRank, random),
  };
}

function createCatalog({ deltaCount, ranks = RANKS }: WorkloadOptions, { versions }: Popularity, bytesPerRank: Bytes, random: Random) {
  const draws = createFastRandom(random.fork("deltas"));
  const count = deltaCount + versions.length;
  const rank = new Int32Array(count);
  for (let delta = 0; delta < deltaCount; delta++) rank[delta] = ranks[draws.below(ranks.length)]!;
  for (const [index, { replaces }] of versions.entries()) rank[deltaCount + index] = rank[replaces]!;
  return {
    ...{ count, rank },
    sizeBytes: Float64Array.from(rank, (value) => value * bytesPerRank),
    hash: Uint32Array.from({ length: count }, () => Math.floor(draws.float() * 2 ** 32)),
    publishedAtMs: Float64Array.from({ length: count }, (_, delta) => versions[delta - deltaCount]?.publishedAtMs ?? 0),
    replaces: Int32Array.from({ length: count }, (_, delta) => versions[delta - deltaCount]?.replaces ?? -1),
  };
}

type Lengths = NodeModel["promptTokens"];

function drawTokens({ logMean, logDeviation, max }: Lengths, random: FastRandom): number {
  return Math.max(1, Math.min(max, Math.round(Math.exp(logMean + logDeviation * standardNormal(random)))));
}

/** Of the log-normal, not cut: a little above the truth, which makes a load of 1 a little less than full. */
function meanTokens({ logMean, logDeviation, max }: Lengths): number {
  return Math.min(max, Math.exp(logMean + logDeviation ** 2 / 2));
}

function meanRank({ ranks = RANKS }: WorkloadOptions): number {
  return ranks.reduce((sum, rank) => sum + rank, 0) / ranks.length;
}
