import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { pino } from "pino";
import { createDeps, type EmbeddedCluster, openHome, startEmbeddedCluster } from "#cli";
import { type Random, seededRandom, systemClock } from "#kernel";
import { AdminServiceService, openChannel, Scope } from "#proto";
import type { Ledger } from "#router";
import { CACHE_DIRECTORY } from "./generated-cache.ts";
import { generatedBase } from "./generated-model.ts";
import { SHAPE_32M, SHAPE_TINY } from "./generated-shapes.ts";
import { generatedPrompt } from "./generated-tokenizer.ts";
import { loadFigures, runLoad } from "./load-client.ts";
import type { BenchOptions } from "./report.ts";
import { median } from "./statistics.ts";

export interface MeteringFigures {
  readonly rows: readonly { readonly title: string; readonly columns: Readonly<Record<string, number>> }[];
  readonly summary: Readonly<Record<string, number>>;
}

const THREADS = 2;
const STREAMS = 16;
const PROMPT_TOKENS = 64;
const NEW_TOKENS = 64;
/** Pairs of loads, one with the ledger and one without, in changing order: so slow drifts of the machine cancel out. */
const PAIRS = 24;
const QUICK_PAIRS = 3;

/** A base, how much is asked of it, and what its share is called in the summary. */
const LOADS = [
  { title: "16 streams, 32 M base, end to end", shape: SHAPE_32M, requests: 32, summaryKey: "metering_share" },
  // An engine that is out of the way: here the router is what is busy, and metering with it.
  { title: "16 streams, tiny base, end to end", shape: SHAPE_TINY, requests: 256, summaryKey: "metering_share_tiny_base" },
] as const;

/**
 * The share of end-to-end throughput that the ledger costs: the same cluster, whose outboxes deliver either to the ledger
 * or to nobody, in turns. Claims are counted, folded and written to disk in both cases: that is what makes them durable.
 */
export async function measureMetering(options: BenchOptions): Promise<MeteringFigures> {
  const rows: MeteringFigures["rows"][number][] = [];
  const summary: Record<string, number> = {};
  for (const { title, shape, requests, summaryKey } of options.base === undefined ? LOADS : LOADS.slice(0, 1)) {
    options.progress?.(`metering: ${title}`);
    const baseDirectory = options.base ?? (await generatedBase(options.cacheDirectory ?? CACHE_DIRECTORY, shape));
    const pairs = await measurePairs(baseDirectory, requests, options);
    const share = 1 - median(pairs.map(({ metered, unmetered }) => metered / unmetered));
    rows.push({
      title,
      columns: {
        "tokens/s metered": median(pairs.map(({ metered }) => metered)),
        "tokens/s unmetered": median(pairs.map(({ unmetered }) => unmetered)),
        "share lost": share,
        "thread share": median(pairs.map(({ threadShare }) => threadShare)),
      },
    });
    summary[summaryKey] = share;
  }
  return { rows, summary };
}

/** Two loads right after each other. */
interface Pair {
  /** Tokens per second. */
  readonly metered: number;
  readonly unmetered: number;
  /** Of the metered load's time, in which the router's thread was at the ledger: an embedded store never gives way. */
  readonly threadShare: number;
}

async function measurePairs(baseDirectory: string, requests: number, options: BenchOptions): Promise<readonly Pair[]> {
  const home = await mkdtemp(join(tmpdir(), "deltaplane-bench-metering-"));
  await using parts = new AsyncDisposableStack();
  parts.defer(() => rm(home, { recursive: true, force: true }));
  let metering = true;
  let postedMs = 0;
  const wrapLedger = (ledger: Ledger): Ledger => ({
    async post(claims) {
      if (!metering) return;
      const startedMs = performance.now();
      await ledger.post(claims);
      postedMs += performance.now() - startedMs;
    },
    correct: (correction) => ledger.correct(correction),
    usage: (query) => ledger.usage(query),
    corrections: (tenantId, since, until) => ledger.corrections(tenantId, since, until),
    charges: (tenantId, since, until) => ledger.charges(tenantId, since, until),
    tenants: () => ledger.tenants(),
  });
  const cluster = parts.use(await startCluster(home, baseDirectory, wrapLedger, options.signal));
  const key = await addPayingTenant(cluster);
  const random = seededRandom(1);
  const load = async (metered: boolean) => {
    options.signal?.throwIfAborted();
    metering = metered;
    const plan = { url: cluster.http, key, inFlight: STREAMS, requests: plannedRequests(basename(baseDirectory), requests, random) };
    const startedMs = performance.now();
    const { tokensPerSecond } = loadFigures(await runLoad(plan));
    return { tokensPerSecond, ms: performance.now() - startedMs };
  };
  await load(true); // Warms up.
  const pairs: Pair[] = [];
  for (let pair = 0; pair < (options.quick ? QUICK_PAIRS : PAIRS); pair++) {
    const order = pair % 2 === 0 ? [true, false] : [false, true];
    const loads = new Map<boolean, Awaited<ReturnType<typeof load>>>();
    postedMs = 0;
    for (const metered of order) loads.set(metered, await load(metered));
    const [metered, unmetered] = [loads.get(true)!, loads.get(false)!];
    pairs.push({ metered: metered.tokensPerSecond, unmetered: unmetered.tokensPerSecond, threadShare: postedMs / metered.ms });
  }
  return pairs;
}

function startCluster(home: string, directory: string, wrapLedger: (ledger: Ledger) => Ledger, signal = new AbortController().signal) {
  const deps = { ...createDeps("bench"), log: pino({ level: "silent" }) };
  const base = { name: basename(directory), directory };
  const ports = { httpPort: 0, grpcPort: 0, adminPort: 0, metricsPort: 0 };
  return startEmbeddedCluster(deps, openHome(home), signal, { nodeCount: 1, bases: [base], threads: THREADS, ...ports, wrapLedger });
}

const PRICES = { prompt: "0.15", cachedPrompt: "0.075", completion: "0.6", training: "3" };

/** Gives a key of a tenant whose tokens cost something. */
async function addPayingTenant(cluster: EmbeddedCluster): Promise<string> {
  await using admin = openChannel({ address: cluster.adminAddress, credential: cluster.adminKey, clock: systemClock });
  const priceList = { version: 0, plan: "standard", effectiveFromMs: 0, defaultPrices: PRICES, bases: {}, gpuHourUsd: "2" };
  await admin.unary(AdminServiceService.addPriceList, { priceList });
  await admin.unary(AdminServiceService.createTenant, { id: "bench" });
  const wish = { tenantId: "bench", projectId: "", name: "bench", scopes: [Scope.SCOPE_INFER], expiresAtMs: 0 };
  return (await admin.unary(AdminServiceService.createKey, wish)).secret;
}

function plannedRequests(model: string, count: number, random: Random) {
  return Array.from({ length: count }, () => ({ model, prompt: generatedPrompt(PROMPT_TOKENS, random), maxTokens: NEW_TOKENS }));
}
