import { join, resolve } from "node:path";
import { type Checkpoint, type LoadedDelta, openCheckpoint } from "#model";
import type { Engine, Slot, WeightFormat } from "#node-agent";
import { type Cell, type CellSample, runCell } from "./engine-cell.ts";
import { loadDeltas, randomPrompts } from "./engine-table.ts";
import { startBenchEngine } from "./engine-under-test.ts";
import { CACHE_DIRECTORY } from "./generated-cache.ts";
import { generatedBase, generatedDeltas } from "./generated-model.ts";
import { SHAPE_32M, SHAPE_124M } from "./generated-shapes.ts";
import { heldOutTexts, measureQuality, type Quality, randomTexts } from "./quantised-quality.ts";
import { openRateMeter, type RateMeter } from "./rate-meter.ts";
import { type BenchOptions, type BenchReport, type BenchRow, createReport } from "./report.ts";
import { stepWork } from "./roofline.ts";
import { median } from "./statistics.ts";

const THREADS = 2;
const RANK = 8;
const PROMPT_TOKENS = 128;
const NEW_TOKENS = 64;
const TURNS = 3;
const DEMO_BASE = join(import.meta.dirname, "../models/demo-base");

const FORMATS = ["float32", "int8", "int4"] as const satisfies readonly WeightFormat[];
type Format = (typeof FORMATS)[number];

const CELLS: readonly Cell[] = [
  { rows: 1, deltas: 0 },
  { rows: 16, deltas: 0 },
  { rows: 16, deltas: 16 },
];

/** Bytes per weight of linears and head: 4 bits have a float32 scale per 32 weights, 8 bits one per output. */
const WEIGHT_BYTES: Readonly<Record<Format, number>> = { float32: 4, int8: 1, int4: 0.5 + 4 / 32 };

interface Model {
  readonly name: string;
  readonly checkpoint: Checkpoint;
  /** By format and field: medians over the turns. */
  readonly rows: readonly BenchRow[];
  readonly quality: ReadonlyMap<Format, Quality>;
  speed(format: Format, cell: Cell): number;
}

/** Weights in 8 and 4 bits against float32: how much faster, and how far from it, in turns within one run. */
export async function benchQuantised(options: BenchOptions): Promise<BenchReport> {
  const cache = options.cacheDirectory ?? CACHE_DIRECTORY;
  const folders =
    options.base === undefined
      ? ([
          ["32m", await generatedBase(cache, SHAPE_32M)],
          ["124m", await generatedBase(cache, SHAPE_124M)],
          ["demo", DEMO_BASE],
        ] as const)
      : ([["base", options.base]] as const);
  await using meter = await openRateMeter(THREADS);
  return await measureFolders(folders, meter, options);
}

/** What {@link benchQuantised} does, on these folders and with this meter. */
export async function measureFolders(
  folders: readonly (readonly [name: string, folder: string])[],
  meter: RateMeter,
  options: BenchOptions,
): Promise<BenchReport> {
  const models: Model[] = [];
  for (const [name, folder] of folders) models.push(await measureModel(name, folder, meter, options));
  return createReport(
    "quantised",
    models.flatMap(({ rows }) => rows),
    Object.fromEntries(models.flatMap(summary)),
  );
}

async function measureModel(name: string, folder: string, meter: RateMeter, options: BenchOptions): Promise<Model> {
  const cache = options.cacheDirectory ?? CACHE_DIRECTORY;
  const progress = options.progress ?? (() => undefined);
  const checkpoint = await openCheckpoint(folder);
  const deltas = await loadDeltas(checkpoint.info, await generatedDeltas(cache, checkpoint.info, { rank: RANK, count: 16 }));
  progress(`${name}: quality`);
  const texts = resolve(folder) === DEMO_BASE ? await heldOutTexts(DEMO_BASE, checkpoint.info) : randomTexts(checkpoint.info);
  const quality = await measureQuality(checkpoint, texts, FORMATS, THREADS);
  const turns = await measureSpeed(name, folder, deltas, meter, options);
  const over = (format: Format, cell: Cell, figure: (sample: CellSample, turn: Turn) => number) =>
    median(turns.map((turn) => figure(turn.samples.get(cellKey(format, cell))!, turn)));
  const speed = (format: Format, cell: Cell) => over(format, cell, ({ tokensPerSecond }) => tokensPerSecond);
  const rows = CELLS.flatMap((cell) =>
    FORMATS.map((format) => ({
      ...{ model: name, weights: format, rows: cell.rows, deltas: cell.deltas, "tokens/s": speed(format, cell) },
      "over float32": over(
        format,
        cell,
        (own, { samples }) => own.tokensPerSecond / samples.get(cellKey("float32", cell))!.tokensPerSecond,
      ),
      "of bandwidth": over(format, cell, (own, { bytesPerSecond }) => {
        const seconds = stepBytes(checkpoint, deltas, format, cell, own) / bytesPerSecond;
        return seconds / (cell.rows / own.tokensPerSecond);
      }),
      "outside run": over(format, cell, ({ outsideRunShare }) => outsideRunShare),
      "KL mnat": 1000 * quality.get(format)!.divergence,
      "same first": quality.get(format)!.agreement,
      perplexity: quality.get(format)!.perplexity,
      "change %": 100 * (quality.get(format)!.perplexity / quality.get("float32")!.perplexity - 1),
    })),
  );
  return { name, checkpoint, rows, quality, speed };
}

/** One turn: every field once in every format, one format right after the other. */
interface Turn {
  readonly bytesPerSecond: number;
  readonly samples: ReadonlyMap<string, CellSample>;
}

const cellKey = (format: Format, { rows, deltas }: Cell): string => `${format} ${rows}x${deltas}`;

async function measureSpeed(
  name: string,
  folder: string,
  deltas: readonly LoadedDelta[],
  meter: RateMeter,
  options: BenchOptions,
): Promise<readonly Turn[]> {
  await using engines = new AsyncDisposableStack();
  const started = new Map<Format, { readonly engine: Engine; readonly slots: readonly Slot[] }>();
  for (const weights of FORMATS) {
    const compute = { provider: "cpu", weights } as const;
    const engine = engines.use(await startBenchEngine(folder, { threads: THREADS, compute, deltaRanks: deltas.map(({ rank }) => rank) }));
    const slots: Slot[] = [];
    for (const delta of deltas) slots.push(await engine.attach(delta));
    started.set(weights, { engine, slots });
  }
  const runOnce = (format: Format, { rows, deltas: count }: Cell) => {
    const { engine, slots } = started.get(format)!;
    const load = {
      prompts: randomPrompts(engine.base, rows, PROMPT_TOKENS, NEW_TOKENS),
      newTokens: NEW_TOKENS,
      slots: slots.slice(0, count),
    };
    return runCell(engine, load, options.signal ?? new AbortController().signal);
  };
  for (const format of FORMATS) await runOnce(format, CELLS.at(-1)!);
  const turns: Turn[] = [];
  for (let turn = 1; turn <= (options.quick ? 1 : TURNS); turn++) {
    options.progress?.(`${name}: turn ${turn}`);
    turns.push(await measureTurn(runOnce, meter));
  }
  return turns;
}

async function measureTurn(runOnce: (format: Format, cell: Cell) => Promise<CellSample>, meter: RateMeter): Promise<Turn> {
  const before = await meter.measure();
  const samples = new Map<string, CellSample>();
  for (const cell of CELLS) for (const format of FORMATS) samples.set(cellKey(format, cell), await runOnce(format, cell));
  const after = await meter.measure();
  return { bytesPerSecond: (before.bytesPerSecond + after.bytesPerSecond) / 2, samples };
}

/** What a step has to read at least. */
function stepBytes({ info }: Checkpoint, deltas: readonly LoadedDelta[], format: Format, cell: Cell, sample: CellSample): number {
  const deltaParameters = deltas.slice(0, cell.deltas).map(({ layers }) => layers.reduce((sum, { a, b }) => sum + a.length + b.length, 0));
  const deltaRows = cell.deltas > 0 ? cell.rows : 0;
  const step = { rows: cell.rows, contextTokens: sample.contextTokens, deltaParameters, deltaRows, weightBytes: WEIGHT_BYTES[format] };
  return stepWork(info, step).bytes;
}

function summary({ name, quality, speed }: Model): [string, number][] {
  const own = quality.get("float32")!;
  return FORMATS.flatMap((format): [string, number][] => {
    const { perplexity, divergence, agreement } = quality.get(format)!;
    const speeds = CELLS.map((cell): [string, number] => [
      `tokens_per_s_${cell.rows}${cell.deltas > 0 ? `x${cell.deltas}` : ""}_${name}_${format}`,
      speed(format, cell),
    ]);
    if (format === "float32") return speeds;
    return [
      ...speeds,
      [`perplexity_change_${name}_${format}`, perplexity / own.perplexity - 1],
      [`divergence_${name}_${format}`, divergence],
      [`agreement_${name}_${format}`, agreement],
    ];
  });
}
