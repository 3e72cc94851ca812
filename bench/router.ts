import { seededRandom } from "#kernel";
import { startBenchCluster } from "./cluster.ts";
import { eventLoopDelayP99Ms } from "./event-loop.ts";
import { CACHE_DIRECTORY } from "./generated-cache.ts";
import { generatedBase } from "./generated-model.ts";
import { SHAPE_TINY } from "./generated-shapes.ts";
import { generatedPrompt } from "./generated-tokenizer.ts";
import { type BenchOptions, type BenchReport, type BenchRow, createReport } from "./report.ts";
import { type Ask, openRouterPaths, type RouterPaths } from "./router-paths.ts";
import { median, quantile } from "./statistics.ts";

const THREADS = 2;
const PROMPT_TOKENS = 16;
/** Of the requests whose time is compared: as little engine as possible. */
const COMPARED_NEW_TOKENS = 1;
const COMPARED_PAIRS = 500;
const WARM_UP_PAIRS = 50;
/** Of the requests under load. */
const STREAMED_NEW_TOKENS = 32;
const STREAM_COUNTS = [1, 4, 16, 64, 256] as const;
const TURNS = 3;

/**
 * What the router adds to a request, and what it carries: a base so small that the engine is out of the way, the same
 * requests to the node directly and through the router, in turns. The client shares the machine with the cluster, as in
 * every bench here.
 */
export async function benchRouter(options: BenchOptions): Promise<BenchReport> {
  const progress = options.progress ?? (() => undefined);
  const baseDirectory = options.base ?? (await generatedBase(options.cacheDirectory ?? CACHE_DIRECTORY, SHAPE_TINY));
  progress("starting a cluster");
  await using cluster = await startBenchCluster({ baseDirectory, threads: THREADS });
  await using paths = await openRouterPaths(cluster);
  const random = seededRandom(1);
  const prompt = () => generatedPrompt(PROMPT_TOKENS, random);

  progress("one client, one new token: node and router in turns");
  await compare(paths, prompt, WARM_UP_PAIRS, options);
  const alone = await compare(paths, prompt, options.quick ? COMPARED_PAIRS / 5 : COMPARED_PAIRS, options);

  const loads: StreamLoad[] = [];
  const turns = options.quick ? 1 : TURNS;
  for (let turn = 1; turn <= turns; turn++) {
    for (const streams of STREAM_COUNTS) {
      options.signal?.throwIfAborted();
      progress(`turn ${turn} of ${turns}: ${streams} streams`);
      const node = await loadStreams(streams, () => paths.straightToNode(prompt(), STREAMED_NEW_TOKENS));
      await eventLoopDelayP99Ms(cluster.metrics); // What was before is not this load's.
      const router = await loadStreams(streams, () => paths.throughRouter(prompt(), STREAMED_NEW_TOKENS));
      loads.push({ streams, node, router, loopP99Ms: await eventLoopDelayP99Ms(cluster.metrics) });
    }
  }
  return routerReport(alone, loads);
}

interface ComparedTimes {
  readonly node: number[];
  readonly router: number[];
}

async function compare(paths: RouterPaths, prompt: () => string, pairs: number, options: BenchOptions): Promise<ComparedTimes> {
  const times: ComparedTimes = { node: [], router: [] };
  const timed = async (ask: Ask) => {
    const startedMs = performance.now();
    await ask(prompt(), COMPARED_NEW_TOKENS);
    return performance.now() - startedMs;
  };
  for (let pair = 0; pair < pairs; pair++) {
    options.signal?.throwIfAborted();
    times.node.push(await timed(paths.straightToNode));
    times.router.push(await timed(paths.throughRouter));
  }
  return times;
}

/** So many streams at a time, each request with the same number of new tokens. */
interface PathLoad {
  readonly requestsPerSecond: number;
  /** Of each request. */
  readonly requestMs: readonly number[];
}

interface StreamLoad {
  readonly streams: number;
  readonly node: PathLoad;
  readonly router: PathLoad;
  /** Of the router's event loop meanwhile. */
  readonly loopP99Ms: number;
}

async function loadStreams(streams: number, ask: () => Promise<number>): Promise<PathLoad> {
  const requests = requestCount(streams);
  const requestMs: number[] = [];
  let started = 0;
  const worker = async () => {
    while (started < requests) {
      started++;
      const startedMs = performance.now();
      const tokens = await ask();
      if (tokens !== STREAMED_NEW_TOKENS) throw new Error(`a request gave ${tokens} tokens instead of ${STREAMED_NEW_TOKENS}`);
      requestMs.push(performance.now() - startedMs);
    }
  };
  const startedMs = performance.now();
  await Promise.all(Array.from({ length: streams }, worker));
  return { requestsPerSecond: (requests * 1000) / (performance.now() - startedMs), requestMs };
}

/** Some seconds' worth at every width. */
function requestCount(streams: number): number {
  return Math.min(1024, Math.max(64, 8 * streams));
}

/** Differences are of the two distributions' quantiles: both were taken in the same minutes. */
function routerReport(alone: ComparedTimes, loads: readonly StreamLoad[]): Promise<BenchReport> {
  const rows = STREAM_COUNTS.map((streams): BenchRow => {
    const turns = loads.filter((load) => load.streams === streams);
    const added = (share: number) =>
      median(turns.map(({ node, router }) => quantile(router.requestMs, share) - quantile(node.requestMs, share)));
    const requestsPerSecond = median(turns.map(({ router }) => router.requestsPerSecond));
    return {
      streams,
      "requests/s, node": median(turns.map(({ node }) => node.requestsPerSecond)),
      "requests/s, router": requestsPerSecond,
      "tokens/s, router": requestsPerSecond * STREAMED_NEW_TOKENS,
      "request p50 ms": median(turns.map(({ router }) => quantile(router.requestMs, 0.5))),
      "added p50 ms": added(0.5),
      "added p99 ms": added(0.99),
      "event loop p99 ms": median(turns.map(({ loopP99Ms }) => loopP99Ms)),
    };
  });
  const at = (streams: (typeof STREAM_COUNTS)[number], column: string) => rows[STREAM_COUNTS.indexOf(streams)]![column] as number;
  const added = (share: number) => quantile(alone.router, share) - quantile(alone.node, share);
  return createReport("router", rows, {
    direct_ms_p50: quantile(alone.node, 0.5),
    added_ms_p50: added(0.5),
    added_ms_p99: added(0.99),
    requests_per_s_64: at(64, "requests/s, router"),
    tokens_per_s_64: at(64, "tokens/s, router"),
    requests_per_s_256: at(256, "requests/s, router"),
    node_requests_per_s_64: at(64, "requests/s, node"),
    added_ms_p99_64: at(64, "added p99 ms"),
    event_loop_p99_ms_64: at(64, "event loop p99 ms"),
    event_loop_p99_ms_256: at(256, "event loop p99 ms"),
  });
}
