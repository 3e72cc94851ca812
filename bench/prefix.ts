import { type Random, seededRandom } from "#kernel";
import { openCheckpoint } from "#model";
import type { Engine, Slot } from "#node-agent";
import { benchSequence } from "./engine-cell.ts";
import { loadDeltas } from "./engine-table.ts";
import { startBenchEngine } from "./engine-under-test.ts";
import { CACHE_DIRECTORY } from "./generated-cache.ts";
import { generatedBase, generatedDeltas } from "./generated-model.ts";
import { SHAPE_32M, SHAPE_124M } from "./generated-shapes.ts";
import { type BenchOptions, type BenchReport, type BenchRow, createReport } from "./report.ts";
import { median } from "./statistics.ts";

const THREADS = 2;
const RANK = 8;
/** A system prompt, and a question after it. */
const PREFIX_TOKENS = 512;
const OWN_TOKENS = 64;
/** Decoded after the first token, to see that a row that began in the middle goes on as fast as any. */
const NEW_TOKENS = 24;
/** Texts of each kind in a turn, one after another. */
const TEXTS = 12;
const TEXTS_QUICK = 3;
const TURNS = 3;
/** Texts that come at once. */
const TOGETHER = 8;
/** They take as long as eight: one time in four is enough. */
const TOGETHER_EVERY = 4;

const TOGETHER_NEW = "nothing kept, eight at once";
const TOGETHER_ALIKE = "nothing kept, prefix in common, eight at once";

/** How a text may begin; each has as many tokens. Of several at once the slowest counts. */
const KINDS = ["nothing kept", "prefix kept", "prefix kept, two at once", "another tenant's", TOGETHER_NEW, TOGETHER_ALIKE] as const;
type Kind = (typeof KINDS)[number];

interface Sample {
  readonly firstTokenMs: number;
  readonly tokenMs: number;
  /** Of the prompts. */
  readonly computedTokens: number;
}

/**
 * Time to first token of texts whose first 512 tokens are kept, over that of texts that begin with something new, through the real
 * engine in its own process. Also of two such texts at once, and of those of tenants that did not compute the prefix themselves; and of
 * eight that come at once before anything is kept, with a prefix in common and without: the latter cost what the former would if each
 * were computed by itself.
 */
export async function benchPrefix(options: BenchOptions): Promise<BenchReport> {
  const cache = options.cacheDirectory ?? CACHE_DIRECTORY;
  const models =
    options.base === undefined
      ? [
          { suffix: "_32m", folder: await generatedBase(cache, SHAPE_32M) },
          { suffix: "_124m", folder: await generatedBase(cache, SHAPE_124M) },
        ]
      : [{ suffix: "", folder: options.base }];
  const rows: BenchRow[] = [];
  const ratios: Record<string, number> = {};
  for (const { suffix, folder } of models) {
    const { name, turns } = await measureFolder(folder, options, cache);
    for (const [where, samples] of turns) {
      const over = (kind: Kind, figure: (sample: Sample) => number) => median(samples.map((turn) => figure(turn[kind])));
      const ratio = (kind: Kind) => median(samples.map((turn) => turn[kind].firstTokenMs / turn["nothing kept"].firstTokenMs));
      for (const kind of KINDS) {
        rows.push({
          ...{ model: suffix.slice(1) || name, on: where, text: kind, "TTFT p50 ms": over(kind, ({ firstTokenMs }) => firstTokenMs) },
          ...{ "over nothing kept": ratio(kind), "ITL p50 ms": over(kind, ({ tokenMs }) => tokenMs) },
          "prompt tokens computed": over(kind, ({ computedTokens }) => computedTokens),
        });
      }
      ratios[`ttft_ratio_${where}${suffix}`] = ratio("prefix kept");
      ratios[`ttft_ratio_other_tenant_${where}${suffix}`] = ratio("another tenant's");
      const inCommon = (figure: (sample: Sample) => number) =>
        median(samples.map((turn) => figure(turn[TOGETHER_ALIKE]) / figure(turn[TOGETHER_NEW])));
      ratios[`together_last_ttft_ratio_${where}${suffix}`] = inCommon(({ firstTokenMs }) => firstTokenMs);
      ratios[`together_tokens_ratio_${where}${suffix}`] = inCommon(({ computedTokens }) => computedTokens);
    }
  }
  return createReport("prefix", rows, ratios);
}

type Turn = Readonly<Record<Kind, Sample>>;

async function measureFolder(folder: string, options: BenchOptions, cache: string) {
  const { info } = await openCheckpoint(folder);
  const [delta] = await loadDeltas(info, options.deltas ?? (await generatedDeltas(cache, info, { rank: RANK, count: 1 })));
  await using engine = await startBenchEngine(folder, { threads: THREADS, deltaRanks: [delta!.rank], prefixShare: 0.5 });
  const signal = options.signal ?? new AbortController().signal;
  const slot = await engine.attach(delta!);
  const random = seededRandom(1); // One for all turns: nothing comes twice but what is meant to.
  const turns = new Map<"base" | "delta", readonly Turn[]>();
  for (const [where, used] of [["base", undefined] as const, ["delta", slot] as const]) {
    options.progress?.(`${info.name}, ${where}: warming up`);
    await measureTurn(engine, used, random, 2, signal);
    const measured: Turn[] = [];
    for (let turn = 1; turn <= (options.quick ? 1 : TURNS); turn++) {
      options.progress?.(`${info.name}, ${where}: turn ${turn}`);
      measured.push(await measureTurn(engine, used, random, options.quick ? TEXTS_QUICK : TEXTS, signal));
    }
    turns.set(where, measured);
  }
  return { name: info.name, turns };
}

/** All kinds side by side, each text after one of every other kind: what the machine does meanwhile, it does to all. */
async function measureTurn(engine: Engine, slot: Slot | undefined, random: Random, texts: number, signal: AbortSignal): Promise<Turn> {
  const samples = mapKinds((): Sample[] => []);
  const tokens = (count: number) => Array.from({ length: count }, () => random.below(engine.base.vocabularySize));
  const shared = tokens(PREFIX_TOKENS);
  const [first, ...others] = Array.from({ length: texts + 1 }, (_, tenant) => tenant);
  const ask = (prefix: readonly number[], tenant = first!) => timeText(engine, [...prefix, ...tokens(OWN_TOKENS)], slot, tenant, signal);
  await ask(shared);
  for (const other of others) {
    samples["nothing kept"].push(await ask(tokens(PREFIX_TOKENS)));
    samples["prefix kept"].push(await ask(shared));
    samples["another tenant's"].push(await ask(shared, other));
    samples["prefix kept, two at once"].push(together(await Promise.all([ask(shared), ask(shared)])));
    if (other % TOGETHER_EVERY !== 1) continue;
    const cold = tokens(PREFIX_TOKENS);
    const eight = (prefix: () => readonly number[]) => Promise.all(Array.from({ length: TOGETHER }, () => ask(prefix())));
    samples[TOGETHER_NEW].push(together(await eight(() => tokens(PREFIX_TOKENS))));
    samples[TOGETHER_ALIKE].push(together(await eight(() => cold)));
  }
  return mapKinds((kind) => ({
    firstTokenMs: median(samples[kind].map(({ firstTokenMs }) => firstTokenMs)),
    tokenMs: median(samples[kind].map(({ tokenMs }) => tokenMs)),
    computedTokens: median(samples[kind].map(({ computedTokens }) => computedTokens)),
  }));
}

async function timeText(
  engine: Engine,
  prompt: readonly number[],
  slot: Slot | undefined,
  tenant: number,
  signal: AbortSignal,
): Promise<Sample> {
  const startedMs = performance.now();
  const times: number[] = [];
  let computedTokens = prompt.length;
  for await (const event of engine.generate(benchSequence(prompt, slot, NEW_TOKENS, tenant), signal)) {
    if (event.kind === "reused") computedTokens -= event.promptTokens;
    if (event.kind === "token") times.push(performance.now());
  }
  const tokenMs = median(times.slice(1).map((time, index) => time - times[index]!));
  return { firstTokenMs: times[0]! - startedMs, tokenMs, computedTokens };
}

/** Until the last of them has its first token. */
function together(samples: readonly Sample[]): Sample {
  const [slowest] = [...samples].sort((one, other) => other.firstTokenMs - one.firstTokenMs);
  return { ...slowest!, computedTokens: samples.reduce((sum, { computedTokens }) => sum + computedTokens, 0) };
}

function mapKinds<T>(make: (kind: Kind) => T): Readonly<Record<Kind, T>> {
  return Object.fromEntries(KINDS.map((kind) => [kind, make(kind)])) as Record<Kind, T>;
}
