import { asBaseDigest, assert, type Tokens } from "#kernel";
import type { BaseInfo, LoadedDelta } from "#model";
import type { Slot } from "../contract.ts";
import type { Row, Runner, RunnerLimits, StepLogits, StepRow } from "../runner/contract.ts";

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
  readonly memoryBytes = 0;
  insideRunMs = 0;
  disposed = false;
  /** Every step so far: tokens per row. */
  readonly steps: StepRow[][] = [];
  /** Called at the start of each step. */
  beforeRun: (rows: readonly StepRow[]) => void = () => undefined;
  /** Called at the end of each step, while its promise is pending. */
  afterRun: () => void = () => undefined;
  readonly #contexts = new Map<Row, { tokens: number[]; tokensMax: number }>();
  readonly #shifts = new Map<Slot, number>();
  #rows = 0;
  #inRun = false;

  constructor(limits: Partial<RunnerLimits> = {}, base: BaseInfo = TOY_BASE) {
    this.limits = { ...TOY_LIMITS, ...limits };
    this.base = base;
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
    return slot;
  }

  detach(slot: Slot): void {
    assert(!this.#inRun, "detach during a run");
    assert(this.#shifts.delete(slot), "detach of nothing");
  }

  open(tokensMax: Tokens): Row | undefined {
    assert(!this.#inRun, "open during a run");
    if (this.#contexts.size >= this.limits.rowsMax) return undefined;
    const row = this.#rows++;
    this.#contexts.set(row, { tokens: [], tokensMax });
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
    this.beforeRun(rows);
    const logits = rows.map((row) => this.#runRow(row));
    this.insideRunMs += 7;
    this.#inRun = false;
    this.afterRun();
    return logits;
  }

  #runRow({ row, tokens, slot, logits }: StepRow): Float32Array {
    const context = this.#contexts.get(row);
    assert(context && tokens.length > 0, "a row must be open and get tokens");
    const shift = slot === undefined ? 0 : this.#shifts.get(slot);
    assert(shift !== undefined, "a row's slot must be attached");
    const kept: Float32Array[] = [];
    for (const token of tokens) {
      context.tokens.push(token);
      kept.push(toyLogits(context.tokens, shift));
    }
    assert(context.tokens.length <= context.tokensMax, "a row exceeds what it reserved");
    const wanted = logits === "all" ? kept : logits === "last" ? kept.slice(-1) : [];
    return Float32Array.from(wanted.flatMap((row) => [...row]));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.disposed = true;
  }
}
