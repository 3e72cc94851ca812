import { asTenantId, deltaDigest } from "#kernel";
import { type BaseInfo, inspectDelta, type LoadedDelta, loadDelta, openCheckpoint } from "#model";
import { type Compute, DEFAULT_COMPUTE, type Slot } from "#node-agent";
// Inside the door: the runner is the engine's own part, and loads the runtime into this process.
import { denseLogits, openRunner, type Row, type Runner, type StepRow } from "../../node-agent/engine/runner/index.ts";
import type { GoldenCase, GoldenPrompt, GoldenVariant } from "./golden-case.ts";

const TENANT = asTenantId("golden");

/** A case opened by our engine: the base and all deltas of the case attached at once. */
export interface OpenCase extends AsyncDisposable {
  readonly runner: Runner;
  readonly slots: ReadonlyMap<GoldenVariant, Slot | undefined>;
}

export async function openCase(golden: GoldenCase, compute: Compute = DEFAULT_COMPUTE): Promise<OpenCase> {
  const runner = await openGoldenRunner(golden, compute);
  const slots = new Map<GoldenVariant, Slot | undefined>();
  for (const variant of golden.variants) {
    slots.set(variant, variant.deltaDirectory === undefined ? undefined : await attach(runner, variant.deltaDirectory));
  }
  return { runner, slots, [Symbol.asyncDispose]: () => runner[Symbol.asyncDispose]() };
}

/** The base of a case alone. */
export async function openGoldenRunner({ baseDirectory }: GoldenCase, compute: Compute = DEFAULT_COMPUTE): Promise<Runner> {
  const limits = { rowsMax: 32, kvTokensMax: 8192, slotsMax: 16, tableRanksMax: 512 };
  return openRunner(await openCheckpoint(baseDirectory), { limits, threads: 1, compute });
}

async function attach(runner: Runner, directory: string): Promise<Slot> {
  const slot = runner.attach(await loadFolder(directory, runner.base));
  if (slot === undefined) throw new Error(`no room for ${directory}`);
  while (!(await runner.fill(slot)));
  return slot;
}

export async function loadFolder(directory: string, base: BaseInfo): Promise<LoadedDelta> {
  const identity = { tenantId: TENANT, baseDigest: base.digest };
  const digest = deltaDigest({ ...identity, ...(await inspectDelta(directory, base)) });
  return loadDelta(directory, { ...identity, digest }, base);
}

/** One text under one variant, and what to look at. */
export interface Ask {
  readonly slot: Slot | undefined;
  readonly prompt: Pick<GoldenPrompt, "tokens">;
  /** Prompt tokens per step; the whole prompt in one step by default. */
  readonly chunkTokens?: number;
}

export interface Answer {
  /** [n, vocabularySize]: after every token of the prompt. */
  readonly promptLogits: Float32Array;
  readonly greedy: readonly number[];
  /** Those that gave the last greedy token. */
  readonly finalLogits: Float32Array;
}

/**
 * Answers all asks in one batch: in each step every text advances by a chunk of its prompt or by one token, so that
 * prefill, chunks and decoding of different lengths meet in the same steps.
 */
export async function answer(runner: Runner, asks: readonly Ask[], greedyTokens = 64): Promise<readonly Answer[]> {
  const texts = asks.map((ask) => new Text(ask, openRow(runner, ask.prompt.tokens.length + greedyTokens), greedyTokens));
  for (let running = texts; running.length > 0; running = running.filter((text) => !text.done)) {
    const steps = running.map((text) => text.next());
    const logits = await runner.run(steps);
    for (const [index, text] of running.entries()) text.take(denseLogits(logits[index]!), runner.base.vocabularySize);
  }
  for (const text of texts) runner.close(text.row);
  return texts.map((text) => text.answer());
}

function openRow(runner: Runner, tokensMax: number): Row {
  const row = runner.open(tokensMax);
  if (row === undefined) throw new Error("no room for a row");
  return row;
}

/** One text on its way: its prompt in chunks, then token by token. */
class Text {
  readonly row: Row;
  readonly #ask: Ask;
  readonly #greedyTokens: number;
  readonly #promptLogits: Float32Array[] = [];
  readonly #greedy: number[] = [];
  #promptDone = 0;
  #finalLogits = new Float32Array();

  constructor(ask: Ask, row: Row, greedyTokens: number) {
    this.#ask = ask;
    this.row = row;
    this.#greedyTokens = greedyTokens;
  }

  get done(): boolean {
    return this.#greedy.length >= this.#greedyTokens;
  }

  next(): StepRow {
    const { prompt, slot, chunkTokens = prompt.tokens.length } = this.#ask;
    const chunk = prompt.tokens.slice(this.#promptDone, this.#promptDone + chunkTokens);
    if (chunk.length === 0) return { row: this.row, slot, tokens: [this.#greedy.at(-1)!], logits: "last" };
    this.#promptDone += chunk.length;
    return { row: this.row, slot, tokens: chunk, logits: "all" };
  }

  take(logits: Float32Array, vocabularySize: number): void {
    const last = logits.slice(-vocabularySize); // A copy: the runner's own is valid until the next run.
    if (this.#greedy.length === 0) this.#promptLogits.push(logits.slice());
    if (this.#promptDone < this.#ask.prompt.tokens.length) return;
    this.#greedy.push(largest(last));
    this.#finalLogits = last;
  }

  answer(): Answer {
    const promptLogits = new Float32Array(this.#promptLogits.reduce((sum, part) => sum + part.length, 0));
    let offset = 0;
    for (const part of this.#promptLogits) {
      promptLogits.set(part, offset);
      offset += part.length;
    }
    return { promptLogits, greedy: this.#greedy, finalLogits: this.#finalLogits };
  }
}

function largest(logits: Float32Array): number {
  let best = 0;
  for (let token = 1; token < logits.length; token++) if (logits[token]! > logits[best]!) best = token;
  return best;
}

/** The largest absolute difference. Infinite when the lengths differ or a value is not a number. */
export function distance(one: Float32Array, other: Float32Array): number {
  if (one.length !== other.length) return Number.POSITIVE_INFINITY;
  let largestSoFar = 0;
  for (const [index, value] of one.entries()) {
    const difference = Math.abs(value - other[index]!);
    if (Number.isNaN(difference)) return Number.POSITIVE_INFINITY;
    largestSoFar = Math.max(largestSoFar, difference);
  }
  return largestSoFar;
}
