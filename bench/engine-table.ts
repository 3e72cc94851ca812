import { asTenantId, deltaDigest, seededRandom } from "#kernel";
import { type BaseInfo, inspectDelta, type LoadedDelta, loadDelta } from "#model";
import type { Engine, Slot } from "#node-agent";
import { type Cell, type CellSample, runCell } from "./engine-cell.ts";
import type { RateMeter } from "./rate-meter.ts";
import { type MachineRates, rooflineSeconds, type StepWork, stepWork } from "./roofline.ts";
import { median } from "./statistics.ts";

const PROMPT_TOKENS = 128;
const NEW_TOKENS = 64;

/** Rows by distinct deltas, as far as there are deltas and rows for them. */
function tableCells(deltaCount: number): readonly Cell[] {
  // A number of deltas that divides the rows, so that also "one delta at a time" has whole rows.
  const widest = 2 ** Math.floor(Math.log2(Math.min(deltaCount, 32)));
  const counts = (rows: number) => new Set([0, 1, 8, rows, widest].filter((deltas) => deltas <= Math.min(rows, deltaCount)));
  return [1, 8, 16, 32].flatMap((rows) => [...counts(rows)].sort((one, other) => one - other).map((deltas) => ({ rows, deltas })));
}

/** One turn: every cell once, one after another, with the mean of the machine's rates before and after. */
interface Turn {
  readonly rates: MachineRates;
  readonly samples: ReadonlyMap<string, CellSample>;
}

/** Medians over the turns; ratios are taken within each turn, so that both sides saw the same minutes. */
export interface CellFigures extends Cell {
  readonly tokensPerSecond: number;
  readonly itlMsP50: number;
  readonly outsideRunShare: number;
  readonly rooflineShare: number;
  /** Of the machine's bandwidth and rate of products, if a step did nothing but what it has to. */
  readonly bandwidthShare: number;
  readonly rateShare: number;
  /** To the same rows on the plain base. Undefined for the base itself. */
  readonly overBase: number | undefined;
  /** To the same rows with one delta after the other, each delta's rows batched. Undefined below two deltas. */
  readonly overSerial: number | undefined;
}

export interface EngineTable {
  readonly rates: MachineRates;
  readonly cells: readonly CellFigures[];
}

export interface TableOptions {
  readonly turns: number;
  readonly signal: AbortSignal;
  readonly progress: (line: string) => void;
  /** Default: those of a processor, see {@link tableCells}. */
  readonly cells?: readonly Cell[];
  /** Of each row. Default: 128 and 64. */
  readonly promptTokens?: number;
  readonly newTokens?: number;
  /** Of one number in the engine's memory. Default: float32. */
  readonly numberBytes?: number;
}

/** Measures one base with these PEFT folders. */
export async function measureTable(
  engine: Engine,
  deltas: readonly LoadedDelta[],
  meter: RateMeter,
  options: TableOptions,
): Promise<EngineTable> {
  const slots: Slot[] = [];
  for (const delta of deltas) slots.push(await engine.attach(delta));
  const { cells = tableCells(deltas.length), promptTokens = PROMPT_TOKENS, newTokens = NEW_TOKENS } = options;
  const measured = [...cells, ...serialCells(cells)];
  const runOnce = (cell: Cell) => {
    const load = { prompts: randomPrompts(engine.base, cell.rows, promptTokens, newTokens), newTokens, slots: slots.slice(0, cell.deltas) };
    return runCell(engine, load, options.signal);
  };
  options.progress(`${engine.base.name}: warming up`);
  await runOnce(cells.at(-1)!); // The runtime allocates, and the system reads what it has not read yet.
  const turns: Turn[] = [];
  for (let turn = 1; turn <= options.turns; turn++) {
    options.progress(`${engine.base.name}: turn ${turn} of ${options.turns}`);
    const before = await meter.measure();
    const samples = new Map<string, CellSample>();
    for (const cell of measured) samples.set(cellKey(cell), await runOnce(cell));
    turns.push({ rates: meanRates(before, await meter.measure()), samples });
  }
  for (const slot of slots) await engine.detach(slot);
  return {
    rates: {
      flopsPerSecond: median(turns.map(({ rates }) => rates.flopsPerSecond)),
      bytesPerSecond: median(turns.map(({ rates }) => rates.bytesPerSecond)),
    },
    cells: cells.map((cell) => cellFigures(engine.base, deltas, turns, cell, options.numberBytes)),
  };
}

function meanRates(one: MachineRates, other: MachineRates): MachineRates {
  return {
    flopsPerSecond: (one.flopsPerSecond + other.flopsPerSecond) / 2,
    bytesPerSecond: (one.bytesPerSecond + other.bytesPerSecond) / 2,
  };
}

/** Loads PEFT folders as one tenant's deltas of `base`. */
export async function loadDeltas(base: BaseInfo, directories: readonly string[]): Promise<readonly LoadedDelta[]> {
  const deltas: LoadedDelta[] = [];
  for (const directory of directories) {
    const identity = { tenantId: asTenantId("bench"), baseDigest: base.digest };
    const digest = deltaDigest({ ...identity, ...(await inspectDelta(directory, base)) });
    deltas.push(await loadDelta(directory, { ...identity, digest }, base));
  }
  return deltas;
}

const cellKey = ({ rows, deltas }: Cell): string => `${rows}x${deltas}`;

/** What a server that serves one delta at a time would run: the rows of one delta alone. */
function serialCell({ rows, deltas }: Cell): Cell {
  return { rows: rows / deltas, deltas: 1 };
}

/** Those serial cells that the table does not have anyway. */
function serialCells(cells: readonly Cell[]): Cell[] {
  const known = new Set(cells.map(cellKey));
  const serial = new Map(cells.filter(({ deltas }) => deltas > 1).map((cell) => [cellKey(serialCell(cell)), serialCell(cell)]));
  return [...serial].filter(([key]) => !known.has(key)).map(([, cell]) => cell);
}

/** The same prompts for the same number of rows. */
export function randomPrompts(base: BaseInfo, rows: number, promptTokens: number, newTokens: number): readonly (readonly number[])[] {
  const tokens = Math.min(promptTokens, base.contextTokensMax - newTokens);
  const random = seededRandom(rows);
  return Array.from({ length: rows }, () => Array.from({ length: tokens }, () => random.below(base.vocabularySize)));
}

function cellFigures(
  base: BaseInfo,
  deltas: readonly LoadedDelta[],
  turns: readonly Turn[],
  cell: Cell,
  numberBytes: number | undefined,
): CellFigures {
  const over = (figure: (sample: CellSample, turn: Turn) => number) =>
    median(turns.map((turn) => figure(turn.samples.get(cellKey(cell))!, turn)));
  const workOf = (sample: CellSample) => cellWork(base, deltas, cell, sample, numberBytes);
  const ratioTo = (other: Cell) =>
    over(({ tokensPerSecond }, { samples }) => tokensPerSecond / samples.get(cellKey(other))!.tokensPerSecond);
  return {
    ...cell,
    tokensPerSecond: over((sample) => sample.tokensPerSecond),
    itlMsP50: over((sample) => sample.itlMsP50),
    outsideRunShare: over((sample) => sample.outsideRunShare),
    rooflineShare: over((sample, { rates }) => rooflineSeconds(workOf(sample), rates) / stepSeconds(cell, sample)),
    bandwidthShare: over((sample, { rates }) => workOf(sample).bytes / rates.bytesPerSecond / stepSeconds(cell, sample)),
    rateShare: over((sample, { rates }) => workOf(sample).flops / rates.flopsPerSecond / stepSeconds(cell, sample)),
    overBase: cell.deltas > 0 ? ratioTo({ rows: cell.rows, deltas: 0 }) : undefined,
    overSerial: cell.deltas > 1 ? ratioTo(serialCell(cell)) : undefined,
  };
}

/** What a step of this cell asks for at least. */
function cellWork(
  base: BaseInfo,
  deltas: readonly LoadedDelta[],
  cell: Cell,
  sample: CellSample,
  numberBytes: number | undefined,
): StepWork {
  return stepWork(base, {
    rows: cell.rows,
    contextTokens: sample.contextTokens,
    deltaParameters: deltas.slice(0, cell.deltas).map(({ layers }) => layers.reduce((sum, { a, b }) => sum + a.length + b.length, 0)),
    deltaRows: cell.deltas > 0 ? cell.rows : 0,
    ...(numberBytes !== undefined && { numberBytes }),
  });
}

function stepSeconds({ rows }: Cell, { tokensPerSecond }: CellSample): number {
  return rows / tokensPerSecond;
}
