import { join } from "node:path";
import { openCheckpoint } from "#model";
import { DRAFT_TOKENS_MAX, type Engine, type SequenceSpec, type Slot, type WeightFormat } from "#node-agent";
import { benchSequence } from "./engine-cell.ts";
import { startBenchEngine } from "./engine-under-test.ts";
import { CACHE_DIRECTORY } from "./generated-cache.ts";
import { generatedBase } from "./generated-model.ts";
import { SHAPE_32M } from "./generated-shapes.ts";
import { type BenchOptions, type BenchReport, type BenchRow, createReport } from "./report.ts";
import { demoKinds, generatedKinds, type TextKind } from "./speculation-texts.ts";
import { median } from "./statistics.ts";

const THREADS = 2;
const TURNS = 3;
const DEMO_BASE = join(import.meta.dirname, "../models/demo-base");
const FORMATS = ["float32", "int8"] as const satisfies readonly WeightFormat[];

interface Model {
  readonly name: string;
  readonly folder: string;
  readonly kinds: readonly TextKind[];
}

/**
 * The same texts with drafts and without, one right after the other within one run: how much faster, how often right, and whether they are
 * the same. In 8 bits drafts are off unless asked for; here they are.
 */
export async function benchSpeculation(options: BenchOptions): Promise<BenchReport> {
  return await measureModels(await modelsOf(options), options);
}

async function modelsOf({ base, cacheDirectory = CACHE_DIRECTORY }: BenchOptions): Promise<readonly Model[]> {
  if (base !== undefined) return [{ name: "base", folder: base, kinds: generatedKinds((await openCheckpoint(base)).info) }];
  const folder = await generatedBase(cacheDirectory, SHAPE_32M);
  return [
    { name: "demo", folder: DEMO_BASE, kinds: await demoKinds(DEMO_BASE) },
    { name: "32m", folder, kinds: generatedKinds((await openCheckpoint(folder)).info) },
  ];
}

/** What {@link benchSpeculation} does, on these models. */
export async function measureModels(models: readonly Model[], options: BenchOptions): Promise<BenchReport> {
  const rows: BenchRow[] = [];
  const summary: Record<string, number> = {};
  for (const model of models) {
    for (const weights of FORMATS) {
      for (const [kind, pairs] of await measureModel(model, weights, options)) {
        const found = figures(pairs);
        rows.push({ model: model.name, weights, text: kind.name, "at once": kind.atOnce, ...found });
        summary[`over_without_${model.name}_${weights}_${kind.key}_${kind.atOnce}`] = found["over without"];
      }
    }
  }
  return createReport("speculation", rows, summary);
}

/** The texts that run at once, with drafts and without. */
interface Pair {
  readonly without: Sample;
  readonly drafted: Sample;
}

interface Sample {
  /** While all texts decode. */
  readonly tokens: number;
  readonly ms: number;
  readonly texts: readonly (readonly number[])[];
  readonly draftedTokens: number;
  readonly acceptedTokens: number;
}

function figures(pairs: readonly Pair[]) {
  const sum = (figure: (pair: Pair) => number) => pairs.reduce((total, pair) => total + figure(pair), 0);
  const tokens = sum(({ drafted }) => drafted.texts.flat().length);
  const decoded = tokens - sum(({ drafted }) => drafted.texts.length); // The first of each comes with its prompt.
  const [tried, right] = [sum(({ drafted }) => drafted.draftedTokens), sum(({ drafted }) => drafted.acceptedTokens)];
  const same = ({ without, drafted }: Pair) => drafted.texts.filter((text, index) => text.join() === without.texts[index]!.join()).length;
  return {
    "tokens/s without": median(pairs.map(({ without }) => tokensPerSecond(without))),
    "tokens/s with": median(pairs.map(({ drafted }) => tokensPerSecond(drafted))),
    "over without": median(pairs.map(({ without, drafted }) => tokensPerSecond(drafted) / tokensPerSecond(without))),
    "tokens per step": decoded / (decoded - right),
    "tried per token": tried / tokens,
    "right of tried": tried === 0 ? 0 : right / tried,
    "same texts": sum(same) / sum(({ drafted }) => drafted.texts.length),
  };
}

function tokensPerSecond({ tokens, ms }: Sample): number {
  return (1000 * tokens) / ms;
}

async function measureModel(model: Model, weights: WeightFormat, options: BenchOptions): Promise<ReadonlyMap<TextKind, readonly Pair[]>> {
  await using engines = new AsyncDisposableStack();
  const deltas = [...new Set(model.kinds.flatMap(({ delta }) => delta ?? []))];
  const start = async (draftTokensMax: number) => {
    const compute = { provider: "cpu", weights } as const;
    const deltaRanks = deltas.map(({ rank }) => rank);
    const engine = engines.use(await startBenchEngine(model.folder, { threads: THREADS, compute, deltaRanks, draftTokensMax }));
    const slots = new Map<TextKind["delta"], Slot>();
    for (const delta of deltas) slots.set(delta, await engine.attach(delta));
    return (kind: TextKind, first: number) => runGroup(engine, kind, first, slots.get(kind.delta), options.signal ?? never());
  };
  const [without, drafted] = [await start(0), await start(DRAFT_TOKENS_MAX)];
  const found = new Map<TextKind, Pair[]>(model.kinds.map((kind) => [kind, []]));
  for (let turn = 0; turn <= (options.quick ? 1 : TURNS); turn++) {
    options.progress?.(`${model.name} ${weights}: ${turn === 0 ? "warming up" : `turn ${turn}`}`);
    for (const [kind, pairs] of found) {
      const groups = turn === 0 ? 1 : kind.prompts.length / kind.atOnce;
      for (let group = 0; group < groups; group++) {
        const pair = { without: await without(kind, group * kind.atOnce), drafted: await drafted(kind, group * kind.atOnce) };
        if (turn > 0) pairs.push(pair);
      }
    }
  }
  return found;
}

function never(): AbortSignal {
  return new AbortController().signal;
}

/** As many texts as run at once, from the `first` on. */
async function runGroup(engine: Engine, kind: TextKind, first: number, slot: Slot | undefined, signal: AbortSignal): Promise<Sample> {
  const before = engine.load().speculation;
  const prompts = kind.prompts.slice(first, first + kind.atOnce);
  const told = await Promise.all(
    prompts.map((prompt, index) => readText(engine, sequenceOf(engine, kind, prompt, slot, first + index), signal)),
  );
  const after = engine.load().speculation;
  const from = Math.max(...told.map(({ times }) => times[0]!));
  const to = Math.min(...told.map(({ times }) => times.at(-1)!));
  return {
    tokens: told.reduce((sum, { times }) => sum + times.filter((at) => at > from && at <= to).length, 0),
    ms: to - from,
    texts: told.map(({ text }) => text),
    draftedTokens: after.draftedTokens - before.draftedTokens,
    acceptedTokens: after.acceptedTokens - before.acceptedTokens,
  };
}

function sequenceOf(engine: Engine, kind: TextKind, prompt: readonly number[], slot: Slot | undefined, tenant: number): SequenceSpec {
  const plain = benchSequence(prompt, slot, kind.newTokensMax, kind.ends ? 0 : tenant);
  const stopTokenIds = new Set(kind.ends ? engine.base.eosTokenIds : []);
  return { ...plain, sampling: { ...plain.sampling, ...kind.sampling }, stopTokenIds };
}

async function readText(engine: Engine, sequence: SequenceSpec, signal: AbortSignal) {
  const [text, times]: [number[], number[]] = [[], []];
  for await (const event of engine.generate(sequence, signal)) {
    if (event.kind !== "token") continue;
    text.push(event.tokenId);
    times.push(performance.now());
  }
  return { text, times };
}
