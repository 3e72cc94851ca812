import { type Random, seededRandom } from "#kernel";
import { openCheckpoint } from "#model";
import { addTenant, startBenchCluster } from "./cluster.ts";
import { CACHE_DIRECTORY } from "./generated-cache.ts";
import { generatedBase, generatedDeltas } from "./generated-model.ts";
import { SHAPE_32M } from "./generated-shapes.ts";
import { generatedPrompt } from "./generated-tokenizer.ts";
import { type LoadFigures, loadFigures, runLoad } from "./load-client.ts";
import type { LoadRequest, LoadResult } from "./load-plan.ts";
import { type BenchOptions, type BenchReport, createReport } from "./report.ts";
import { median } from "./statistics.ts";

const PROMPT_TOKENS = 64;
const NEW_TOKENS = 64;
const DELTA_COUNT = 32;
const RANK = 8;
const THREADS = 2;
const TURNS = 3;

/** One load: who asks for what, and how much at a time. */
interface Scenario {
  readonly title: string;
  readonly summaryKey: string;
  readonly inFlight: number;
  readonly requestCount: number;
  /** Which delta the request uses; undefined for the plain base. */
  readonly delta: (index: number, random: Random) => number | undefined;
}

const SCENARIOS: readonly Scenario[] = [
  { title: "1 stream, base", summaryKey: "1_base", inFlight: 1, requestCount: 4, delta: () => undefined },
  { title: "16 streams, base", summaryKey: "16_base", inFlight: 16, requestCount: 16, delta: () => undefined },
  { title: "16 streams, one delta", summaryKey: "16_1delta", inFlight: 16, requestCount: 16, delta: () => 0 },
  { title: "16 streams, 16 deltas", summaryKey: "16_16deltas", inFlight: 16, requestCount: 16, delta: (index) => index },
  { title: "32 streams, 32 deltas", summaryKey: "32_32deltas", inFlight: 32, requestCount: 32, delta: (index) => index },
  {
    title: "64 requests, Zipf over 32 deltas, 16 in flight",
    summaryKey: "zipf",
    inFlight: 16,
    requestCount: 64,
    delta: (_, random) => zipf(DELTA_COUNT, random),
  },
];

/** End to end over HTTP streaming: router and one node agent, as `deltaplane up` starts them, and a client in a process of its own. */
export async function benchServe(options: BenchOptions): Promise<BenchReport> {
  const progress = options.progress ?? (() => undefined);
  const cache = options.cacheDirectory ?? CACHE_DIRECTORY;
  const baseDirectory = options.base ?? (await generatedBase(cache, SHAPE_32M));
  const { info } = await openCheckpoint(baseDirectory);
  const deltas = options.deltas ?? (await generatedDeltas(cache, info, { rank: RANK, count: DELTA_COUNT }));
  progress(`starting a cluster with ${info.name} and ${deltas.length} deltas`);
  await using cluster = await startBenchCluster({ baseDirectory, threads: THREADS });
  const { key, models } = await addTenant(cluster, deltas);

  const random = seededRandom(1);
  const load = (scenario: Scenario) => {
    const requests = Array.from({ length: scenario.requestCount }, (_, index): LoadRequest => {
      const delta = scenario.delta(index, random);
      const model = delta === undefined ? cluster.baseName : models[delta % models.length]!;
      return { model, prompt: generatedPrompt(PROMPT_TOKENS, random), maxTokens: NEW_TOKENS };
    });
    return runLoad({ url: cluster.http, key, inFlight: scenario.inFlight, requests });
  };
  progress("warming up: every delta once");
  await load(SCENARIOS.find(({ summaryKey }) => summaryKey === "32_32deltas")!);

  const figures = new Map(SCENARIOS.map((scenario) => [scenario, [] as LoadFigures[]]));
  const turns = options.quick ? 1 : TURNS;
  for (let turn = 1; turn <= turns; turn++) {
    for (const scenario of SCENARIOS) {
      options.signal?.throwIfAborted();
      progress(`turn ${turn} of ${turns}: ${scenario.title}`);
      const result = await load(scenario);
      if (!options.base) checkCounts(result);
      figures.get(scenario)!.push(loadFigures(result));
    }
  }
  return serveReport(figures);
}

/** A generated model neither ends early nor splits a prompt differently: anything else would compare unlike loads. */
function checkCounts({ requests }: LoadResult): void {
  for (const { promptTokens, completionTokens } of requests) {
    if (promptTokens !== PROMPT_TOKENS || completionTokens !== NEW_TOKENS) {
      throw new Error(`a request had ${promptTokens} + ${completionTokens} tokens instead of ${PROMPT_TOKENS} + ${NEW_TOKENS}`);
    }
  }
}

function serveReport(figures: ReadonlyMap<Scenario, readonly LoadFigures[]>): Promise<BenchReport> {
  const rows = [];
  const summary: Record<string, number> = {};
  for (const [{ title, summaryKey }, turns] of figures) {
    const rates = turns.map(({ tokensPerSecond }) => tokensPerSecond);
    const ttftMs = median(turns.map(({ ttftMsP50 }) => ttftMsP50));
    const itlMs = median(turns.map(({ itlMsP50 }) => itlMsP50));
    rows.push({
      load: title,
      "tokens/s": median(rates),
      lowest: Math.min(...rates),
      highest: Math.max(...rates),
      "TTFT p50 ms": ttftMs,
      "ITL p50 ms": itlMs,
    });
    summary[`tokens_per_s_${summaryKey}`] = median(rates);
    if (summaryKey === "16_16deltas") Object.assign(summary, { ttft_ms_p50_16_16: ttftMs, itl_ms_p50_16_16: itlMs });
  }
  return createReport("serve", rows, summary);
}

/** A rank drawn with probability proportional to 1/(rank + 1). */
function zipf(count: number, random: Random): number {
  const weights = Array.from({ length: count }, (_, rank) => 1 / (rank + 1));
  let left = random.float() * weights.reduce((sum, weight) => sum + weight, 0);
  return weights.findIndex((weight) => {
    left -= weight;
    return left <= 0;
  });
}
