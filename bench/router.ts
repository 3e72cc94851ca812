import { asBaseDigest, type BaseDigest, seededRandom, systemClock } from "#kernel";
import { AdminServiceService, type GrpcChannel, InferenceServiceService, NodeServiceService, openChannel } from "#proto";
import { addTenant, type BenchCluster, startBenchCluster } from "./cluster.ts";
import { CACHE_DIRECTORY } from "./generated-cache.ts";
import { generatedBase } from "./generated-model.ts";
import { SHAPE_TINY } from "./generated-shapes.ts";
import { generatedPrompt } from "./generated-tokenizer.ts";
import { type BenchOptions, type BenchReport, createReport } from "./report.ts";
import { median, quantile } from "./statistics.ts";

const THREADS = 2;
const PROMPT_TOKENS = 16;
/** Of the requests whose time is compared: as little engine as possible. */
const COMPARED_NEW_TOKENS = 1;
const COMPARED_PAIRS = 500;
const WARM_UP_PAIRS = 50;
/** Of the requests at full load. */
const STREAMED_NEW_TOKENS = 32;
const STREAMS = 64;
const STREAMED_REQUESTS = 512;
const TURNS = 3;

/**
 * What the router adds to a request, and what it carries: a base so small that the engine is out of the way, the same request
 * to the node directly and through the router, in turns. The client shares the machine with the cluster, as in every bench here.
 */
export async function benchRouter(options: BenchOptions): Promise<BenchReport> {
  const progress = options.progress ?? (() => undefined);
  const baseDirectory = options.base ?? (await generatedBase(options.cacheDirectory ?? CACHE_DIRECTORY, SHAPE_TINY));
  progress("starting a cluster");
  await using cluster = await startBenchCluster({ baseDirectory, threads: THREADS });
  const { key } = await addTenant(cluster, []);
  await using router = openChannel({ address: cluster.grpcAddress, credential: key, clock: systemClock });
  const home = await findNode(cluster);
  await using node = openChannel({ address: home.address, credential: cluster.clusterKey, clock: systemClock });
  const throughRouter = routerRequest(router, cluster.baseName);
  const straightToNode = nodeRequest(node, home.baseDigest);

  const random = seededRandom(1);
  const prompt = () => generatedPrompt(PROMPT_TOKENS, random);
  const compare = async (pairs: number) => {
    const times = { node: [] as number[], router: [] as number[] };
    for (let pair = 0; pair < pairs; pair++) {
      options.signal?.throwIfAborted();
      times.node.push(await timed(() => straightToNode(prompt(), COMPARED_NEW_TOKENS)));
      times.router.push(await timed(() => throughRouter(prompt(), COMPARED_NEW_TOKENS)));
    }
    return times;
  };
  progress("one client: node and router in turns");
  await compare(WARM_UP_PAIRS);
  const times = await compare(options.quick ? COMPARED_PAIRS / 5 : COMPARED_PAIRS);

  const loads: StreamLoad[] = [];
  const turns = options.quick ? 1 : TURNS;
  for (let turn = 1; turn <= turns; turn++) {
    options.signal?.throwIfAborted();
    progress(`turn ${turn} of ${turns}: ${STREAMS} streams`);
    loads.push(await loadStreams(() => throughRouter(prompt(), STREAMED_NEW_TOKENS)));
  }
  return routerReport(times, loads);
}

/** Sends one request and resolves with its completion tokens when its stream has ended. */
type Ask = (prompt: string, maxTokens: number) => Promise<number>;

function routerRequest(channel: GrpcChannel, model: string): Ask {
  return async (text, maxTokens) => {
    const request = { model, prompt: textPrompt(text), sampling: sampling(maxTokens) };
    let tokens = 0;
    for await (const { usage } of channel.serverStream(InferenceServiceService.generate, request))
      tokens = usage?.completionTokens ?? tokens;
    return tokens;
  };
}

function nodeRequest(channel: GrpcChannel, baseDigest: BaseDigest): Ask {
  let count = 0;
  return async (text, maxTokens) => {
    const request = {
      requestId: `bench-${count++}`,
      attempt: 0,
      tenantId: "bench",
      baseDigest,
      delta: undefined,
      prompt: textPrompt(text),
      sampling: sampling(maxTokens),
      progress: [],
      priceVersion: 1,
      admittedAtMs: systemClock.now(),
    };
    let tokens = 0;
    for await (const { usage } of channel.serverStream(NodeServiceService.generate, request)) tokens = usage?.completionTokens ?? tokens;
    return tokens;
  };
}

const textPrompt = (value: string) => ({ kind: { $case: "text" as const, value } });
const sampling = (maxTokens: number) => ({ maxTokens, temperature: 0, seed: "1", stop: [], logitBias: {}, ignoreEos: true });

async function findNode(cluster: BenchCluster): Promise<{ readonly address: string; readonly baseDigest: BaseDigest }> {
  await using admin = openChannel({ address: cluster.grpcAddress, credential: cluster.adminKey, clock: systemClock });
  const { nodes } = await admin.unary(AdminServiceService.getCluster, {});
  const view = nodes[0]?.view;
  const base = view?.bases[0];
  if (!view || !base) throw new Error("the cluster has no node with a base");
  return { address: view.address, baseDigest: asBaseDigest(base.digest) };
}

async function timed(work: () => Promise<unknown>): Promise<number> {
  const startedMs = performance.now();
  await work();
  return performance.now() - startedMs;
}

interface StreamLoad {
  readonly requestsPerSecond: number;
  readonly tokensPerSecond: number;
}

async function loadStreams(ask: () => Promise<number>): Promise<StreamLoad> {
  let started = 0;
  let tokens = 0;
  const worker = async () => {
    while (started < STREAMED_REQUESTS) {
      started++;
      const completionTokens = await ask();
      if (completionTokens !== STREAMED_NEW_TOKENS)
        throw new Error(`a request gave ${completionTokens} tokens instead of ${STREAMED_NEW_TOKENS}`);
      tokens += completionTokens;
    }
  };
  const seconds = (await timed(() => Promise.all(Array.from({ length: STREAMS }, worker)))) / 1000;
  return { requestsPerSecond: STREAMED_REQUESTS / seconds, tokensPerSecond: tokens / seconds };
}

/** `added_ms_p50` and `_p99` are differences of the two distributions' quantiles: both were taken in the same minutes. */
function routerReport(times: { readonly node: number[]; readonly router: number[] }, loads: readonly StreamLoad[]): Promise<BenchReport> {
  const row = (path: string, values: readonly number[]) => ({
    path,
    requests: values.length,
    "p50 ms": quantile(values, 0.5),
    "p90 ms": quantile(values, 0.9),
    "p99 ms": quantile(values, 0.99),
  });
  const added = (share: number) => quantile(times.router, share) - quantile(times.node, share);
  return createReport("router", [row("node directly", times.node), row("through the router", times.router)], {
    added_ms_p50: added(0.5),
    added_ms_p99: added(0.99),
    requests_per_s_64: median(loads.map(({ requestsPerSecond }) => requestsPerSecond)),
    tokens_per_s_64: median(loads.map(({ tokensPerSecond }) => tokensPerSecond)),
  });
}
