import { asTenantId } from "#kernel";
import type { Engine, Sampling, SequenceSpec, Slot } from "#node-agent";
import { median } from "./statistics.ts";

/** One field of the table: how many texts at once, over how many distinct deltas. */
export interface Cell {
  readonly rows: number;
  /** 0 is the plain base. */
  readonly deltas: number;
}

export interface CellLoad {
  readonly prompts: readonly (readonly number[])[];
  readonly newTokens: number;
  /** Row i uses slot i modulo their number; none for the plain base. */
  readonly slots: readonly Slot[];
}

/** What one run of a cell showed. */
export interface CellSample {
  /** While all rows decode. */
  readonly tokensPerSecond: number;
  readonly itlMsP50: number;
  /** Share of the engine's steps, prefill included, that was spent outside of the runtime's `run`. */
  readonly outsideRunShare: number;
  /** Mean context of the rows in that time. */
  readonly contextTokens: number;
}

/** Fewer tokens per row than this while all rows decode are no measurement. */
const WINDOW_TOKENS_MIN = 8;

const GREEDY: Sampling = {
  temperature: 0,
  topK: 0,
  topP: 1,
  minP: 0,
  seed: 1n,
  repetitionPenalty: 1,
  presencePenalty: 0,
  frequencyPenalty: 0,
  logitBias: new Map(),
  topLogprobs: undefined,
};

let sequenceCount = 0;

/** Runs all rows of a cell at once, and looks at the time in which all of them decode. */
export async function runCell(engine: Engine, load: CellLoad, signal: AbortSignal): Promise<CellSample> {
  const before = engine.load();
  const arrivals = await Promise.all(load.prompts.map((prompt, row) => tokenTimes(engine, prompt, load, row, signal)));
  const after = engine.load();
  const insideMs = after.insideRunMs - before.insideRunMs;
  const outsideMs = after.outsideRunMs - before.outsideRunMs;
  return { ...decodeFigures(arrivals, load), outsideRunShare: outsideMs / (insideMs + outsideMs) };
}

/** A greedy text that ends after `newTokens`, and not before. */
export function benchSequence(promptTokens: readonly number[], slot: Slot | undefined, newTokens: number, tenant: number): SequenceSpec {
  return {
    id: `bench-${sequenceCount++}`,
    tenantId: asTenantId(`tenant-${tenant}`),
    promptTokens,
    emittedTokens: [],
    slot,
    sampling: GREEDY,
    maxTokens: newTokens,
    stopTokenIds: new Set<number>(),
    promptLogprobs: false,
  };
}

/** When each new token of one row arrived. */
async function tokenTimes(engine: Engine, prompt: readonly number[], load: CellLoad, row: number, signal: AbortSignal): Promise<number[]> {
  const times: number[] = [];
  const slot = load.slots[row % load.slots.length];
  const sequence = benchSequence(prompt, slot, load.newTokens, row);
  for await (const event of engine.generate(sequence, signal)) if (event.kind === "token") times.push(performance.now());
  if (times.length !== load.newTokens) throw new Error(`a row gave ${times.length} tokens instead of ${load.newTokens}`);
  return times;
}

/** From the moment the last row has its first token to the moment the first row has its last. */
function decodeFigures(arrivals: readonly (readonly number[])[], { prompts }: CellLoad) {
  const fromMs = Math.max(...arrivals.map((times) => times[0]!));
  const toMs = Math.min(...arrivals.map((times) => times.at(-1)!));
  const within = arrivals.map((times) => times.map((atMs, index) => ({ atMs, index })).filter(({ atMs }) => atMs > fromMs && atMs <= toMs));
  const tokens = within.flat();
  if (tokens.length < WINDOW_TOKENS_MIN * arrivals.length) throw new Error("the rows hardly ever decoded at the same time");
  const gaps = within.flatMap((row) => row.slice(1).map(({ atMs }, index) => atMs - row[index]!.atMs));
  const newTokensMean = tokens.reduce((sum, { index }) => sum + index, 0) / tokens.length;
  return {
    tokensPerSecond: tokens.length / ((toMs - fromMs) / 1000),
    itlMsP50: median(gaps),
    contextTokens: prompts[0]!.length + newTokensMean,
  };
}
