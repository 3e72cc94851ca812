import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { Fault, seededRandom } from "#kernel";
import { openCheckpoint } from "#model";
import type { Engine, Slot, WeightFormat } from "#node-agent";
import { benchSequence } from "./engine-cell.ts";
import { loadDeltas } from "./engine-table.ts";
import { startBenchEngine } from "./engine-under-test.ts";
import { CACHE_DIRECTORY } from "./generated-cache.ts";
import { generatedBase, generatedDeltas } from "./generated-model.ts";
import { SHAPE_32M } from "./generated-shapes.ts";
import { findPython, startPythonSide } from "./python-side.ts";
import { type BenchOptions, type BenchReport, type BenchRow, createReport } from "./report.ts";
import { median } from "./statistics.ts";

const THREADS = 2;
const RANK = 8;
const ROWS_MAX = 16;
const PROMPT_TOKENS = 64;
const NEW_TOKENS = 64;
const TURNS = 5;
/** llama.cpp's threads wait actively for some milliseconds when they are done, on cores that the other side's prompt would otherwise lack. */
const SETTLE_MS = 100;

/** Texts that are wanted at once; row i uses delta i modulo their number, none for the plain base. */
interface Load {
  readonly title: string;
  readonly key: string;
  readonly rows: number;
  readonly deltas: number;
}

const LOADS: readonly Load[] = [
  { title: "1 text, base", key: "1_base", rows: 1, deltas: 0 },
  { title: "16 texts, base", key: "16_base", rows: 16, deltas: 0 },
  { title: "16 texts, one delta", key: "16_1delta", rows: 16, deltas: 1 },
  { title: "16 texts, 16 deltas", key: "16_16deltas", rows: 16, deltas: 16 },
];

/** The same weights in both: ours, and what llama.cpp calls them. */
const FORMATS: readonly { readonly weights: WeightFormat; readonly key: string }[] = [
  { weights: "float32", key: "" },
  { weights: "int8", key: "_int8" },
];

/** How a load went on one side. */
interface Run {
  readonly seconds: number;
  readonly firstTokenMs: readonly number[];
  readonly texts: readonly (readonly number[])[];
}

interface Side extends AsyncDisposable {
  run(prompts: readonly (readonly number[])[], deltas: readonly (number | undefined)[]): Promise<Run>;
}

/**
 * Our engine beside llama.cpp's library on the generated 32 M model, in turns, prompts included: the same ids in, greedy ids out,
 * without a server on either side. Its library batches what uses one delta; needs a Python with llama-cpp-python and gguf (`--python`).
 */
export async function benchLlamaCpp(options: BenchOptions): Promise<BenchReport> {
  const python = await findPython(options.python, ["llama_cpp", "gguf", "safetensors"]);
  if (python === undefined)
    throw new Fault(
      "parameter_invalid",
      "bench llama-cpp compares with llama-cpp-python and gguf: name a Python that has them with --python",
    );
  const rows: BenchRow[] = [];
  const summary: Record<string, number> = {};
  for (const { weights, key } of FORMATS) {
    const compared = await compare(python, weights, options);
    for (const { load, ours, theirs } of compared) {
      const ratio = median(ours.map((run, turn) => rate(run) / rate(theirs[turn]!)));
      rows.push(rowOf(weights, load, "deltaplane", ours, ratio), rowOf(weights, load, "llama.cpp", theirs, 1));
      summary[`tokens_per_s_${load.key}${key}`] = median(ours.map(rate));
      summary[`over_llama_cpp_${load.key}${key}`] = ratio;
    }
    // Both compute the same model: what differs is rounding, and after the first token that rounds otherwise all is free.
    summary[`same_first_tokens${key}`] = sameFirstTokens(compared);
  }
  return createReport("llama-cpp", rows, summary);
}

interface Compared {
  readonly load: Load;
  readonly ours: readonly Run[];
  readonly theirs: readonly Run[];
}

/** In turns, so that whatever else the machine does hits both. */
async function compare(python: string, weights: WeightFormat, options: BenchOptions): Promise<readonly Compared[]> {
  const cache = options.cacheDirectory ?? CACHE_DIRECTORY;
  const base = await generatedBase(cache, SHAPE_32M);
  const { info } = await openCheckpoint(base);
  const folders = await generatedDeltas(cache, info, { rank: RANK, count: ROWS_MAX });
  await using ours = await startOurs(base, folders, weights);
  await using theirs = startTheirs(python, base, folders, weights, join(cache, "gguf"));
  const turns = options.quick ? 1 : TURNS;
  const compared = LOADS.map((load) => ({ load, ours: [] as Run[], theirs: [] as Run[] }));
  // A turn that does not count: both allocate, and what is compiled or read when first used is.
  for (const load of LOADS) for (const side of [ours, theirs]) await side.run(...requestsOf(load));
  for (let turn = 1; turn <= turns; turn++) {
    for (const { load, ours: own, theirs: other } of compared) {
      options.signal?.throwIfAborted();
      options.progress?.(`${weights}, turn ${turn} of ${turns}: ${load.title}`);
      own.push(await runSettled(ours, load));
      other.push(await runSettled(theirs, load));
    }
  }
  return compared;
}

async function runSettled(side: Side, load: Load): Promise<Run> {
  await sleep(SETTLE_MS);
  return side.run(...requestsOf(load));
}

function requestsOf({ rows, deltas }: Load): [number[][], (number | undefined)[]] {
  const random = seededRandom(1);
  const prompts = Array.from({ length: rows }, () => Array.from({ length: PROMPT_TOKENS }, () => random.below(SHAPE_32M.vocabularySize)));
  return [prompts, prompts.map((_, row) => (deltas === 0 ? undefined : row % deltas))];
}

async function startOurs(base: string, folders: readonly string[], weights: WeightFormat): Promise<Side> {
  const { info } = await openCheckpoint(base);
  const deltas = await loadDeltas(info, folders);
  const engine = await startBenchEngine(base, {
    ...{ threads: THREADS, deltaRanks: deltas.map(({ rank }) => rank) },
    compute: { provider: "cpu", weights },
  });
  const slots: Slot[] = [];
  for (const delta of deltas) slots.push(await engine.attach(delta));
  return {
    async run(prompts, wanted) {
      const startedMs = performance.now();
      const texts = await Promise.all(
        prompts.map((prompt, row) => text(engine, prompt, wanted[row] === undefined ? undefined : slots[wanted[row]], startedMs)),
      );
      return {
        seconds: (performance.now() - startedMs) / 1000,
        firstTokenMs: texts.map(({ firstTokenMs }) => firstTokenMs),
        texts: texts.map(({ tokens }) => tokens),
      };
    },
    [Symbol.asyncDispose]: () => engine[Symbol.asyncDispose](),
  };
}

async function text(engine: Engine, prompt: readonly number[], slot: Slot | undefined, startedMs: number) {
  const tokens: number[] = [];
  let firstTokenMs = Number.NaN;
  for await (const event of engine.generate(benchSequence(prompt, slot, NEW_TOKENS, 0), new AbortController().signal)) {
    if (event.kind !== "token") continue;
    if (tokens.length === 0) firstTokenMs = performance.now() - startedMs;
    tokens.push(event.tokenId);
  }
  return { tokens, firstTokenMs };
}

function startTheirs(python: string, base: string, folders: readonly string[], weights: WeightFormat, cache: string): Side {
  const job = { weights, rows: ROWS_MAX, rowTokens: PROMPT_TOKENS + NEW_TOKENS, threads: THREADS, deltas: folders };
  const side = startPythonSide<unknown, Run>(python, join(import.meta.dirname, "llama-cpp", "side.py"), [base, cache, JSON.stringify(job)]);
  return {
    run: (prompts, deltas) => side.ask({ prompts, deltas: deltas.map((delta) => delta ?? null), newTokens: NEW_TOKENS }),
    [Symbol.asyncDispose]: () => side[Symbol.asyncDispose](),
  };
}

/** Tokens per second, prompts' time included. */
function rate({ texts, seconds }: Run): number {
  return texts.reduce((sum, { length }) => sum + length, 0) / seconds;
}

/** Share of texts whose first token is the same on both sides. */
function sameFirstTokens(compared: readonly Compared[]): number {
  const same = compared.flatMap(({ ours, theirs }) => ours[0]!.texts.map(([token], row) => token === theirs[0]!.texts[row]![0]));
  return same.filter(Boolean).length / same.length;
}

function rowOf(weights: WeightFormat, { title }: Load, engine: string, runs: readonly Run[], ratio: number): BenchRow {
  const rates = runs.map(rate);
  return {
    weights,
    load: title,
    engine,
    "tokens/s": median(rates),
    lowest: Math.min(...rates),
    highest: Math.max(...rates),
    "TTFT p50 ms": median(runs.flatMap(({ firstTokenMs }) => firstTokenMs)),
    "over llama.cpp": ratio,
  };
}
