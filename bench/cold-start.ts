import { copyFile, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { asTenantId, deltaDigest, seededRandom, systemClock } from "#kernel";
import { type BaseInfo, type DeltaReference, inspectDelta, openCheckpoint } from "#model";
import { type DeltaOrigin, type DeltaSlots, type Engine, openDeltaCache, openDeltaLoader } from "#node-agent";
import { startDecoding, timeToFirstToken } from "./background-rows.ts";
import { startBenchEngine } from "./engine-under-test.ts";
import { CACHE_DIRECTORY } from "./generated-cache.ts";
import { generatedBase, generatedDeltas } from "./generated-model.ts";
import { SHAPE_32M } from "./generated-shapes.ts";
import { type BenchOptions, type BenchReport, createReport } from "./report.ts";
import { median, quantile } from "./statistics.ts";

const LOADS = 50;
const THREADS = 2;
const RANK = 8;
/** Of `bench cold-start`: a ratio of 99th percentiles of some thousand steps moves by a tenth from one time to the next. */
const TURNS = 5;
/** Fewer than the deltas in turn, so that each is out of the slots and out of RAM when its turn comes again. */
const SLOTS = 4;
const PROMPT_TOKENS = 64;
/** Rows that decode while deltas are loaded. */
const BACKGROUND_ROWS = 8;
/** Loads in a row, before as long a time without any: both see the same minutes. */
const LOADS_PER_TURN = 10;

export interface ColdStart {
  /** Time to first token with the delta on disk only, less that with the delta in its slot: medians over 50 deltas, on an idle engine. */
  readonly extraMsP50: number;
  /** 99th percentile of the time between two tokens of rows that decode while 50 deltas are loaded, over that without loads, in turns. */
  readonly itlP99Ratio: number;
}

/** What `bench engine` says of cold deltas, by itself and over several turns: the medians. */
export async function benchColdStart(options: BenchOptions): Promise<BenchReport> {
  const cacheDirectory = options.cacheDirectory ?? CACHE_DIRECTORY;
  const base = options.base ?? (await generatedBase(cacheDirectory, SHAPE_32M));
  const turns: ColdStart[] = [];
  while (turns.length < (options.quick ? 1 : TURNS)) {
    turns.push(await measureColdStart(base, { ...options, cacheDirectory, threads: THREADS, rank: RANK }));
  }
  const rows = turns.map(({ extraMsP50, itlP99Ratio }, turn) => ({
    turn: turn + 1,
    "cold extra ms": extraMsP50,
    "ITL p99 ratio": itlP99Ratio,
  }));
  return createReport("cold-start", rows, {
    cold_extra_ms_p50: median(turns.map(({ extraMsP50 }) => extraMsP50)),
    itl_p99_ratio_under_loads: median(turns.map(({ itlP99Ratio }) => itlP99Ratio)),
  });
}

/**
 * Drives a node agent's delta cache and engine process directly: more deltas than slots and RAM hold, asked for in turn, so that each
 * comes from disk every time. Disk means a file that is read and verified anew; the system's page cache is not emptied.
 */
export async function measureColdStart(
  baseDirectory: string,
  options: BenchOptions & { readonly cacheDirectory: string; readonly threads: number; readonly rank: number },
): Promise<ColdStart> {
  const progress = options.progress ?? (() => undefined);
  const { info } = await openCheckpoint(baseDirectory);
  const folders = await generatedDeltas(options.cacheDirectory, info, { rank: options.rank, count: LOADS });
  const references = await Promise.all(folders.map((folder) => referenceOf(folder, info)));
  await using engine = await startBenchEngine(baseDirectory, {
    threads: options.threads,
    deltaRanks: new Array<number>(SLOTS).fill(options.rank),
  });
  await using store = await openSmallCache(
    info,
    engine,
    options.rank,
    new Map(references.map(({ digest }, index) => [digest, folders[index]!])),
  );
  const signal = options.signal ?? new AbortController().signal;

  progress("cold start: bringing all deltas to disk");
  for (const reference of references) await use(store.slots, reference, signal);
  progress("cold start: time to first token, cold and warm in turns");
  const extraMsP50 = await extraTime(engine, store.slots, references, signal);
  progress("cold start: loads beside rows that decode");
  return { extraMsP50, itlP99Ratio: await slowdown(engine, store.slots, references, signal) };
}

async function extraTime(engine: Engine, slots: DeltaSlots, references: readonly DeltaReference[], signal: AbortSignal): Promise<number> {
  const random = seededRandom(1);
  const ask = async (reference: DeltaReference) => {
    const prompt = Array.from({ length: PROMPT_TOKENS }, () => random.below(engine.base.vocabularySize));
    const startedMs = performance.now();
    const lease = await slots.acquire(reference, signal);
    await timeToFirstToken(engine, prompt, lease.slot, signal);
    const ttftMs = performance.now() - startedMs;
    lease.release();
    return { ttftMs, arrival: lease.arrival };
  };
  const cold: number[] = [];
  const warm: number[] = [];
  for (const reference of references) {
    const first = await ask(reference);
    const second = await ask(reference);
    if (first.arrival !== "disk" || second.arrival !== "slot")
      throw new Error(`a delta came from ${first.arrival}, then ${second.arrival}`);
    cold.push(first.ttftMs);
    warm.push(second.ttftMs);
  }
  return median(cold) - median(warm);
}

async function slowdown(engine: Engine, slots: DeltaSlots, references: readonly DeltaReference[], signal: AbortSignal): Promise<number> {
  await using background = await startDecoding(engine, BACKGROUND_ROWS, signal);
  const gaps = { loading: [] as number[], quiet: [] as number[] };
  for (let first = 0; first < references.length; first += LOADS_PER_TURN) {
    background.takeGaps(); // Those of the switch belong to neither.
    const startedMs = performance.now();
    for (const reference of references.slice(first, first + LOADS_PER_TURN)) await use(slots, reference, signal);
    gaps.loading.push(...background.takeGaps());
    await sleep(performance.now() - startedMs, undefined, { signal });
    gaps.quiet.push(...background.takeGaps());
  }
  return quantile(gaps.loading, 0.99) / quantile(gaps.quiet, 0.99);
}

async function use(slots: DeltaSlots, reference: DeltaReference, signal: AbortSignal): Promise<void> {
  (await slots.acquire(reference, signal)).release();
}

interface SmallCache extends AsyncDisposable {
  readonly slots: DeltaSlots;
}

/** A cache whose RAM holds as little as its slots; the origin copies the generated folders. */
async function openSmallCache(base: BaseInfo, engine: Engine, rank: number, folders: ReadonlyMap<string, string>): Promise<SmallCache> {
  const directory = await mkdtemp(join(tmpdir(), "deltaplane-bench-"));
  const origin: DeltaOrigin = {
    async fetch({ digest }, into) {
      for (const file of ["adapter_config.json", "adapter_model.safetensors"])
        await copyFile(join(folders.get(digest)!, file), join(into, file));
    },
  };
  const deltaBytes = base.linears.reduce((sum, { inputSize, outputSize }) => sum + 4 * rank * (inputSize + outputSize), 0);
  const loader = openDeltaLoader(1);
  const cache = await openDeltaCache({ clock: systemClock, origin, loader }, { directory, ramBytesMax: SLOTS * deltaBytes });
  cache.addBase(base);
  return {
    slots: cache.openSlots(engine, { slotsMax: SLOTS, tableRanksMax: SLOTS * rank }),
    async [Symbol.asyncDispose]() {
      await cache[Symbol.asyncDispose]();
      await rm(directory, { recursive: true, force: true });
    },
  };
}

async function referenceOf(folder: string, base: BaseInfo): Promise<DeltaReference> {
  const identity = { tenantId: asTenantId("bench"), baseDigest: base.digest };
  return { ...identity, digest: deltaDigest({ ...identity, ...(await inspectDelta(folder, base)) }) };
}
