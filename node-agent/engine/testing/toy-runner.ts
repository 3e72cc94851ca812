import { asBaseDigest, assert, type Tokens } from "#kernel";
import { type BaseInfo, BLOCK_TOKENS, type LoadedDelta } from "#model";
import type { Slot } from "../contract.ts";
import type { Beginning, Row, RowLogits, Runner, RunnerLimits, StepLogits, StepRow, TopLogits } from "../runner/contract.ts";
import { largestLogits } from "./largest-logits.ts";
import { type ToyContext, ToyPrefixes } from "./toy-prefixes.ts";

export const TOY_VOCABULARY = 101;

export const TOY_BASE: BaseInfo = {
  name: "toy",
  digest: asBaseDigest("0".repeat(64)),
  architecture: "llama",
  layerCount: 1,
  hiddenSize: 8,
  headCount: 1,
  kvHeadCount: 1,
  headSize: 8,
  vocabularySize: TOY_VOCABULARY,
  contextTokensMax: 128,
  parameterCount: 1_000_000,
  weightType: "float32",
  bosTokenId: undefined,
  eosTokenIds: [],
  linears: [{ site: "layers.0.q", module: "model.layers.0.self_attn.q_proj", inputSize: 8, outputSize: 8 }],
};

export const TOY_LIMITS: RunnerLimits = { rowsMax: 4, kvTokensMax: 1000, slotsMax: 3, tableRanksMax: 64 };

/** The most likely token after `context`: the sum of its tokens, each times its place, plus what the delta adds. */
export function toyNext(context: readonly number[], shift = 0): number {
  const sum = context.reduce((total, token, index) => total + token * (index + 1), 0);
  return (sum + context.length + shift) % TOY_VOCABULARY;
}

/** What greedy decoding writes. */
export function toyText(prompt: readonly number[], count: Tokens, shift = 0): number[] {
  const context = [...prompt];
  for (let index = 0; index < count; index++) context.push(toyNext(context, shift));
  return context.slice(prompt.length);
}

/** Logits that fall with the (circular) distance from {@link toyNext}: a few tokens are likely, none is impossible. */
export function toyLogits(context: readonly number[], shift = 0): Float32Array {
  const next = toyNext(context, shift);
  return Float32Array.from({ length: TOY_VOCABULARY }, (_, id) => 8 - ((id - next + TOY_VOCABULARY) % TOY_VOCABULARY));
}

/** What a delta adds to the sum is the first number of its first layer. */
export function toyDelta(shift: number, rank = 8): LoadedDelta {
  const layer = { site: "layers.0.q", rank, a: new Float32Array(8 * rank).fill(shift), b: new Float32Array(8 * rank) };
  const reference = {
    digest: "d" as LoadedDelta["reference"]["digest"],
    tenantId: "t" as LoadedDelta["reference"]["tenantId"],
    baseDigest: TOY_BASE.digest,
  };
  return { reference, rank, sizeBytes: layer.a.byteLength + layer.b.byteLength, layers: [layer] };
}

/** A runner whose texts can be computed by hand. It checks its contract, and can be told to go wrong. */
export class ToyRunner implements Runner {
  readonly base: BaseInfo;
  readonly limits: RunnerLimits;
  readonly memory = { weights: 4, cache: 3, tables: 2, workspace: 1 };
  insideRunMs = 0;
  disposed = false;
  /** Every step so far: tokens per row. */
  readonly steps: StepRow[][] = [];
  /** Called at the start of each step. */
  beforeRun: (rows: readonly StepRow[]) => void = () => undefined;
  /** Called at the end of each step, while its promise is pending. */
  afterRun: () => void = () => undefined;
  /** How often a delta is to be filled before it is all there. */
  partsPerDelta = 1;
  /** Called before a part of a delta is filled. */
  beforeFill: () => void = () => undefined;
  /** How many of the largest logits a row gets that asks for those; all when undefined. */
  topCount: number | undefined;
  /** How far back texts look to go on, and among how many tokens they choose: little of both makes them repeat themselves. */
  repeating: { readonly memoryTokens: Tokens; readonly vocabularySize: number } | undefined;
  /** Called when the largest logits were not enough and all are fetched. */
  beforeDense: () => void = () => undefined;
  readonly prefixes: ToyPrefixes;
  readonly #contexts = new Map<Row, ToyContext>();
  readonly #shifts = new Map<Slot, number>();
  readonly #partsLeft = new Map<Slot, number>();
  /** Of the last step, what may still be accepted. */
  readonly #drafts = new Map<Row, readonly number[]>();
  #rows = 0;
  #inRun = false;

  constructor(limits: Partial<RunnerLimits> = {}, base: BaseInfo = TOY_BASE, prefixUnitTokens = BLOCK_TOKENS) {
    this.limits = { ...TOY_LIMITS, ...limits };
    this.base = base;
    this.prefixes = new ToyPrefixes(prefixUnitTokens, this.#contexts);
  }

  get openRows(): number {
    return this.#contexts.size;
  }

  attach(delta: LoadedDelta): Slot | undefined {
    assert(!this.#inRun, "attach during a run");
    if (this.#shifts.size >= this.limits.slotsMax) return undefined;
    let slot = 0;
    while (this.#shifts.has(slot)) slot++;
    this.#shifts.set(slot, delta.layers[0]!.a[0]!);
    this.#partsLeft.set(slot, this.partsPerDelta);
    return slot;
  }

  fill(slot: Slot): boolean | Promise<boolean> {
    assert(!this.#inRun, "fill during a run");
    this.beforeFill();
    const left = this.#partsLeft.get(slot);
    assert(left !== undefined && left > 0, "fill of nothing");
    this.#partsLeft.set(slot, left - 1);
    return Promise.resolve(left === 1);
  }

  detach(slot: Slot): void {
    assert(!this.#inRun, "detach during a run");
    assert(this.#shifts.delete(slot), "detach of nothing");
  }

  open(tokensMax: Tokens, from?: Beginning): Row | undefined {
    assert(!this.#inRun, "open during a run");
    if (this.#contexts.size >= this.limits.rowsMax) return undefined;
    const reserved = this.#contexts.values().reduce((sum, context) => sum + context.tokensMax, tokensMax);
    if (this.prefixes.keptTokens > 0 && reserved + this.prefixes.keptTokens > this.limits.kvTokensMax) return undefined;
    const row = this.#rows++;
    const { tokens, shift } = from ? this.prefixes.begin(from) : { tokens: [], shift: undefined };
    this.#contexts.set(row, { tokens, tokensMax, shift });
    return row;
  }

  close(row: Row): void {
    assert(!this.#inRun, "close during a run");
    assert(this.#contexts.delete(row), "close of nothing");
  }

  async run(rows: readonly StepRow[]): Promise<StepLogits> {
    assert(!this.#inRun && !this.disposed, "run is not re-entrant");
    this.#inRun = true;
    this.steps.push([...rows]);
    this.#drafts.clear();
    this.beforeRun(rows);
    const logits = rows.map((row) => this.#runRow(row));
    this.insideRunMs += 7;
    this.#inRun = false;
    this.afterRun();
    return logits;
  }

  acceptDraft(row: Row, count: Tokens): void {
    const draft = this.#drafts.get(row);
    assert(!this.#inRun && draft && count > 0 && count <= draft.length, "only what was tried is accepted");
    assert(this.#drafts.delete(row), "once");
    this.#contexts.get(row)!.tokens.push(...draft.slice(0, count));
  }

  #runRow({ row, tokens, draftTokens = 0, slot, logits }: StepRow): RowLogits {
    const context = this.#contexts.get(row);
    assert(context && tokens.length > 0, "a row must be open and get tokens");
    const shift = slot === undefined ? 0 : this.#shifts.get(slot);
    assert(shift !== undefined, "a row's slot must be attached");
    assert(slot === undefined || this.#partsLeft.get(slot) === 0, "a row's slot must be filled");
    assert(context.shift === undefined || context.shift === shift, "a row goes on with the delta that it began with");
    context.shift = shift;
    const kept: Float32Array[] = [];
    assert(draftTokens === 0 || (logits === "all" && draftTokens < tokens.length), "what is tried is to be judged, after something sure");
    for (const token of tokens) {
      context.tokens.push(token);
      kept.push(this.#logits(context.tokens, shift));
    }
    assert(context.tokens.length <= context.tokensMax, "a row exceeds what it reserved");
    if (draftTokens > 0) this.#drafts.set(row, context.tokens.splice(-draftTokens));
    if (logits === "top" && this.topCount !== undefined) return this.#topLogits(kept.at(-1)!, this.topCount);
    const wanted = logits === "all" ? kept : logits === "none" ? [] : kept.slice(-1);
    return Float32Array.from(wanted.flatMap((row) => [...row]));
  }

  #logits(context: readonly number[], shift: number): Float32Array {
    if (!this.repeating) return toyLogits(context, shift);
    const { memoryTokens, vocabularySize } = this.repeating;
    const next = toyNext(context.slice(-memoryTokens), shift) % vocabularySize;
    return toyLogits([], next);
  }

  #topLogits(all: Float32Array, count: number): TopLogits {
    const dense = async () => {
      this.beforeDense();
      return all;
    };
    return { ...largestLogits(all, count), dense };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.disposed = true;
  }
}
