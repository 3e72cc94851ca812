import { openCheckpoint } from "#model";
import { chooseCompute } from "#node-agent";
import { measureColdStart } from "./cold-start.ts";
import { benchEngineOnDevice } from "./engine-device.ts";
import { type CellFigures, type EngineTable, loadDeltas, measureTable } from "./engine-table.ts";
import { startBenchEngine } from "./engine-under-test.ts";
import { CACHE_DIRECTORY } from "./generated-cache.ts";
import { generatedBase, generatedDeltas } from "./generated-model.ts";
import { SHAPE_32M, SHAPE_124M } from "./generated-shapes.ts";
import { openRateMeter } from "./rate-meter.ts";
import { type BenchOptions, type BenchReport, type BenchRow, createReport } from "./report.ts";

const THREADS = 2;
const RANK = 8;
const DELTA_COUNT = 32;
const TURNS = 3;

/**
 * Decoding through the real engine, in its own process: texts at once by distinct deltas, against the machine's roofline, the base
 * without deltas, and one delta at a time. On the generated models also what a cold delta costs; `--base` measures a folder of yours.
 */
export async function benchEngine(options: BenchOptions): Promise<BenchReport> {
  const compute = chooseCompute(options.ep, options.weights);
  if (compute.provider !== "cpu") return benchEngineOnDevice(compute, options);
  return options.base === undefined ? benchGenerated(options) : benchFolder(options.base, options);
}

async function benchGenerated(options: BenchOptions): Promise<BenchReport> {
  const cache = options.cacheDirectory ?? CACHE_DIRECTORY;
  const small = await measureBase(await generatedBase(cache, SHAPE_32M), options);
  const large = await measureBase(await generatedBase(cache, SHAPE_124M), options);
  const cold = await measureColdStart(await generatedBase(cache, SHAPE_32M), {
    ...options,
    cacheDirectory: cache,
    threads: THREADS,
    rank: RANK,
  });
  const [small16, large16] = [cellOf(small.table, 16, 16), cellOf(large.table, 16, 16)];
  return createReport("engine", [...tableRows("32m", small.table), ...tableRows("124m", large.table)], {
    tokens_per_s_16x16_32m: small16.tokensPerSecond,
    tokens_per_s_16x16_124m: large16.tokensPerSecond,
    tokens_per_s_1_32m: cellOf(small.table, 1, 0).tokensPerSecond,
    mixed_over_base_124m: large16.overBase!,
    mixed_over_serial_124m: large16.overSerial!,
    roofline_share_32m: small16.rooflineShare,
    roofline_share_124m: large16.rooflineShare,
    outside_run_share: Math.max(small16.outsideRunShare, large16.outsideRunShare),
    cold_extra_ms_p50: cold.extraMsP50,
    itl_p99_ratio_under_loads: cold.itlP99Ratio,
    ...rateSummary(large.table),
  });
}

/** The same table on given folders. With fewer than 16 deltas, the summary speaks of the widest mix that there is. */
async function benchFolder(directory: string, options: BenchOptions): Promise<BenchReport> {
  const { name, table } = await measureBase(directory, options);
  const widest = table.cells.filter(({ rows }) => rows === 16).at(-1)!;
  return createReport("engine", tableRows(name, table), {
    tokens_per_s_1: cellOf(table, 1, 0).tokensPerSecond,
    [`tokens_per_s_16x${widest.deltas}`]: widest.tokensPerSecond,
    ...(widest.overBase === undefined ? {} : { mixed_over_base: widest.overBase }),
    ...(widest.overSerial === undefined ? {} : { mixed_over_serial: widest.overSerial }),
    roofline_share: widest.rooflineShare,
    outside_run_share: widest.outsideRunShare,
    ...rateSummary(table),
  });
}

async function measureBase(directory: string, options: BenchOptions): Promise<{ readonly name: string; readonly table: EngineTable }> {
  const progress = options.progress ?? (() => undefined);
  const checkpoint = await openCheckpoint(directory);
  const generated = { rank: RANK, count: DELTA_COUNT };
  const folders = options.deltas ?? (await generatedDeltas(options.cacheDirectory ?? CACHE_DIRECTORY, checkpoint.info, generated));
  const deltas = await loadDeltas(checkpoint.info, folders);
  await using meter = await openRateMeter(THREADS);
  await using engine = await startBenchEngine(directory, { threads: THREADS, deltaRanks: deltas.map(({ rank }) => rank) });
  const signal = options.signal ?? new AbortController().signal;
  const table = await measureTable(engine, deltas, meter, { turns: options.quick ? 1 : TURNS, signal, progress });
  return { name: checkpoint.info.name, table };
}

function cellOf(table: EngineTable, rows: number, deltas: number): CellFigures {
  const cell = table.cells.find((each) => each.rows === rows && each.deltas === deltas);
  if (!cell) throw new Error(`the table has no field ${rows} × ${deltas}`);
  return cell;
}

function rateSummary({ rates }: EngineTable): Record<string, number> {
  return { machine_gflop_per_s: rates.flopsPerSecond / 1e9, machine_gbyte_per_s: rates.bytesPerSecond / 1e9 };
}

function tableRows(model: string, { cells }: EngineTable): BenchRow[] {
  return cells.map((cell) => ({
    model,
    rows: cell.rows,
    deltas: cell.deltas,
    "tokens/s": cell.tokensPerSecond,
    "ITL p50 ms": cell.itlMsP50,
    "of roofline": cell.rooflineShare,
    "over base": cell.overBase ?? "",
    "over serial": cell.overSerial ?? "",
    "outside run": cell.outsideRunShare,
  }));
}
