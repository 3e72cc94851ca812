import { basename } from "node:path";
import { CACHE_DIRECTORY } from "./generated-cache.ts";
import { generatedBase } from "./generated-model.ts";
import { SHAPE_32M, SHAPE_124M } from "./generated-shapes.ts";
import { findPython } from "./python-side.ts";
import { type BenchOptions, type BenchReport, type BenchRow, createReport } from "./report.ts";
import { median } from "./statistics.ts";
import { TRAIN_JOB } from "./train-messages.ts";
import { startOurSide, startPeftSide, type TrainSide } from "./train-sides.ts";

const TURNS = 6;
const STEPS_PER_TURN = 4;
/** The first steps allocate. */
const WARMUP_STEPS = 2;

/**
 * Steps of fine-tuning, AdamW included: a delta of rank 8 on all linears, 8 texts of 128 tokens. Where a Python with PyTorch and
 * peft is found (`--python`), it does the same in turns with ours. `--base` measures a folder of yours.
 */
export async function benchTrain(options: BenchOptions): Promise<BenchReport> {
  const python = await findPython(options.python, ["torch", "transformers", "peft"]);
  if (python === undefined) options.progress?.("no Python with torch, transformers and peft: without the comparison");
  if (options.base !== undefined) {
    const figures = await measure(options.base, python, options);
    return createReport("train", rowsOf(basename(options.base), figures), summaryOf("", figures));
  }
  const cache = options.cacheDirectory ?? CACHE_DIRECTORY;
  const small = await measure(await generatedBase(cache, SHAPE_32M), python, options);
  const large = await measure(await generatedBase(cache, SHAPE_124M), python, options);
  return createReport("train", [...rowsOf("32m", small), ...rowsOf("124m", large)], {
    ...summaryOf("_32m", small),
    ...summaryOf("_124m", large),
  });
}

/** What one side came to. */
interface Figures {
  readonly stepMs: readonly number[];
  readonly peakBytes: number;
}

interface Comparison {
  readonly ours: Figures;
  readonly peft: Figures | undefined;
}

/** In turns, so that whatever else the machine does hits both. */
async function measure(directory: string, python: string | undefined, options: BenchOptions): Promise<Comparison> {
  await using ours = startOurSide(directory);
  await using peft = python === undefined ? undefined : startPeftSide(python, directory);
  const sides: readonly TrainSide[] = peft ? [ours, peft] : [ours];
  for (const side of sides) await side.run(WARMUP_STEPS);
  const turns = options.quick ? 1 : TURNS;
  const figures = sides.map(() => ({ stepMs: [] as number[], peakBytes: 0 }));
  for (let turn = 0; turn < turns; turn++) {
    for (const [index, side] of sides.entries()) {
      options.signal?.throwIfAborted();
      const { stepMs, peakBytes } = await side.run(STEPS_PER_TURN);
      figures[index]!.stepMs.push(...stepMs);
      figures[index]!.peakBytes = peakBytes;
    }
    const [own, other] = figures.map((side) => Math.round(median(side.stepMs)));
    options.progress?.(
      `${basename(directory)}, turn ${turn + 1} of ${turns}: ${own} ms a step${other === undefined ? "" : `, peft ${other} ms`}`,
    );
  }
  return { ours: figures[0]!, peft: figures[1] };
}

const STEP_TOKENS = TRAIN_JOB.batchSize * TRAIN_JOB.textTokens;
const MB = 1e6;

function summaryOf(suffix: string, { ours, peft }: Comparison): Record<string, number> {
  return {
    [`tokens_per_s${suffix}`]: rate(ours),
    [`peak_mb${suffix}`]: ours.peakBytes / MB,
    ...(peft ? { [`over_peft${suffix}`]: rate(ours) / rate(peft), [`peak_mb_over_peft${suffix}`]: ours.peakBytes / peft.peakBytes } : {}),
  };
}

function rate({ stepMs }: Figures): number {
  return (STEP_TOKENS / median(stepMs)) * 1000;
}

function rowsOf(model: string, { ours, peft }: Comparison): BenchRow[] {
  const row = (who: string, figures: Figures) => ({
    model,
    trainer: who,
    "tokens/s": rate(figures),
    "step ms p50": median(figures.stepMs),
    "step ms least": Math.min(...figures.stepMs),
    "peak MB": figures.peakBytes / MB,
  });
  return [row("deltaplane", ours), ...(peft ? [row("PyTorch + peft", peft)] : [])];
}
