import { deviceName, lookAround } from "#cli";
import { openCheckpoint } from "#model";
import type { Compute } from "#node-agent";
import { type DeviceMeterSize, openDeviceMeter } from "./device-roofline.ts";
import type { Cell } from "./engine-cell.ts";
import { type CellFigures, loadDeltas, measureTable } from "./engine-table.ts";
import { startBenchEngine } from "./engine-under-test.ts";
import { CACHE_DIRECTORY } from "./generated-cache.ts";
import { generatedBase, generatedDeltas } from "./generated-model.ts";
import { SHAPE_124M } from "./generated-shapes.ts";
import { type BenchOptions, type BenchReport, type BenchRow, createReport } from "./report.ts";

const THREADS = 2;
const RANK = 8;
const TURNS = 3;
const ROW_TOKENS_MAX = 256;

/** What is measured of a device. */
export interface DevicePlan {
  readonly cells: readonly Cell[];
  readonly meter?: DeviceMeterSize;
  /** Of each row; see {@link measureTable}. */
  readonly tokens?: { readonly promptTokens: number; readonly newTokens: number };
}

const COUNTS = [1, 16, 64, 256];

/** Rows 1 to 256 by deltas 0 to 256; more deltas than rows are none of a step's. */
const DEVICE_PLAN: DevicePlan = {
  cells: COUNTS.flatMap((rows) => [0, ...COUNTS].filter((deltas) => deltas <= rows).map((deltas) => ({ rows, deltas }))),
};

/**
 * Decoding on a device, through the real engine: tokens/s by rows and distinct deltas, beside what the device itself reads and
 * multiplies in the same run. On GPT-2 small's shape, or on `--base`.
 */
export async function benchEngineOnDevice(compute: Compute, options: BenchOptions, plan: DevicePlan = DEVICE_PLAN): Promise<BenchReport> {
  const cacheDirectory = options.cacheDirectory ?? CACHE_DIRECTORY;
  const directory = options.base ?? (await generatedBase(cacheDirectory, SHAPE_124M));
  const { info } = await openCheckpoint(directory);
  const count = Math.max(...plan.cells.map(({ deltas }) => deltas));
  const folders = options.deltas ?? (await generatedDeltas(cacheDirectory, info, { rank: RANK, count }));
  const deltas = await loadDeltas(info, folders);
  const number = compute.weights === "float32" ? "float32" : "float16";
  const rowsMax = Math.max(...plan.cells.map(({ rows }) => rows));
  await using meter = await openDeviceMeter(number, plan.meter);
  await using engine = await startBenchEngine(directory, {
    ...{ threads: THREADS, compute, rowsMax, rowTokensMax: ROW_TOKENS_MAX, deltaRanks: deltas.map(({ rank }) => rank) },
  });
  const { cells, rates } = await measureTable(engine, deltas, meter, {
    turns: options.quick ? 1 : TURNS,
    signal: options.signal ?? new AbortController().signal,
    progress: options.progress ?? (() => undefined),
    cells: plan.cells.filter((cell) => cell.deltas <= deltas.length),
    ...plan.tokens,
    numberBytes: number === "float32" ? 4 : 2,
  });
  const { bus } = engine.load();
  const summary = {
    ...Object.fromEntries(cells.map((cell) => [`tokens_per_s_${cell.rows}x${cell.deltas}`, cell.tokensPerSecond])),
    device_gflop_per_s: rates.flopsPerSecond / 1e9,
    device_gbyte_per_s: rates.bytesPerSecond / 1e9,
    bus_down_mb: (bus?.downBytes ?? 0) / 1e6,
  };
  return createReport(
    "engine-webgpu",
    cells.map((cell) => deviceRow(info.name, compute, cell)),
    summary,
    deviceName(lookAround()),
  );
}

function deviceRow(model: string, compute: Compute, cell: CellFigures): BenchRow {
  return {
    model,
    weights: compute.weights,
    rows: cell.rows,
    deltas: cell.deltas,
    "tokens/s": cell.tokensPerSecond,
    "ITL p50 ms": cell.itlMsP50,
    "of bandwidth": cell.bandwidthShare,
    "of rate": cell.rateShare,
    "over base": cell.overBase ?? "",
    "over serial": cell.overSerial ?? "",
    "outside run": cell.outsideRunShare,
  };
}
