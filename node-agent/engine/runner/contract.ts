import type { Bytes, Clock, Tokens } from "#kernel";
import type { BaseInfo, LoadedDelta } from "#model";
import type { Compute } from "../compute.ts";
import type { Slot } from "../contract.ts";

/** A sequence's place in the KV cache, from open to close. */
export type Row = number & { readonly brand?: "row" };

/** Keys and values of the first tokens of a row, kept beyond its close; from keep to forget. */
export type Prefix = number & { readonly brand?: "prefix" };

/** Where a row begins that need not be computed from its first token: behind the first `tokens` of what was kept. */
export interface Beginning {
  readonly prefix: Prefix;
  /** A multiple of the keeper's unit, no more than was kept. */
  readonly tokens: Tokens;
}

/** What one sequence does in one step: some of its next tokens go in, perhaps logits come out. */
export interface StepRow {
  readonly row: Row;
  /** Appended to the row's context in this step; one when decoding, with what may follow it, more in a chunk of prefill. Never empty. */
  readonly tokens: readonly number[];
  /** How many of the last `tokens` are a guess: computed like the others, but only what is accepted is appended. Never all. Default: none. */
  readonly draftTokens?: Tokens;
  readonly slot: Slot | undefined;
  /** For which of `tokens` the logits are wanted; `top` is the last one's largest, where the runner can spare the others the way. */
  readonly logits: "none" | "last" | "all" | "top";
}

/** The largest logits of one token, and enough about the others to say what they can't be. */
export interface TopLogits {
  /** From the largest logit to the smallest, equal ones by id; {@link TOP_LOGITS} of them, or all of a smaller vocabulary. */
  readonly ids: Int32Array;
  /** By place in `ids`: the same numbers, to the bit, as those of `dense`. */
  readonly logits: Float32Array;
  /** ln Σ exp(logit) over the whole vocabulary, to 1e-5. Not finite where a logit is NaN or plus infinity. */
  readonly logSumExp: number;
  /** All of them [vocabularySize], fetched from the device. Only until the runner's next verb. */
  dense(): Promise<Float32Array>;
}

/** [n, vocabularySize] row-major, n = 0, 1 or the number of tokens; or the largest only, for a row that asked for `top`. */
export type RowLogits = Float32Array | TopLogits;

/**
 * Logits of one step, by index of its rows. Valid until the next run, which may take their memory back. Whoever asks for `top` may be
 * answered with all, as if for `last`.
 */
export type StepLogits = readonly RowLogits[];

export interface RunnerLimits {
  readonly rowsMax: number;
  /** Sum over open rows of the tokens they reserved. */
  readonly kvTokensMax: Tokens;
  readonly slotsMax: number;
  /** Sum of the ranks of all attached deltas. */
  readonly tableRanksMax: number;
}

export interface RunnerOptions {
  readonly limits: RunnerLimits;
  /** Default: float32 on the processor. */
  readonly compute?: Compute;
  /** Threads inside the runtime; 2 is the smallest machine that we plan for. */
  readonly threads?: number;
  /** How long a thread of the runtime waits actively for its next part before it sleeps. */
  readonly spinMicros?: number;
  readonly clock?: Clock;
}

/**
 * What a runner holds, where it computes: in the process, or on the device. The budget of node-agent/memory-budget.ts foresees the
 * same terms before anything is taken.
 */
export interface RunnerMemory {
  readonly weights: Bytes;
  /** Keys and values, kept prefixes included. */
  readonly cache: Bytes;
  /** The packed tables of the attached deltas. */
  readonly tables: Bytes;
  /** What a step computes with: activations, logits, staging. The runner counts what it takes itself, not what the runtime does. */
  readonly workspace: Bytes;
}

/** What has gone over the bus to the device and back so far. */
export interface BusTraffic {
  readonly upBytes: Bytes;
  readonly downBytes: Bytes;
}

/**
 * Keys and values that outlast their rows. They take only room that no open row has reserved: who opens a row that finds no
 * room forgets prefixes until it does. Knows neither texts nor tenants: who may begin where is the engine's to say.
 */
export interface PrefixKeeper {
  /** What is kept is a multiple of so many tokens. */
  readonly unitTokens: Tokens;
  /** What all kept prefixes take, in tokens of the cache; what several of them, or they and rows, have in common counts once. */
  readonly keptTokens: Tokens;
  readonly keptBytes: Bytes;
  /**
   * Keeps the first `tokens` of an open row, which goes on as before. `shared` is where the same text is kept already as far as
   * that: it need not be kept twice. Undefined when there is no room; then nothing has changed.
   */
  keep(row: Row, tokens: Tokens, shared?: Beginning): Prefix | undefined;
  /** Rows that began there have what they need. */
  forget(prefix: Prefix): void;
  /**
   * Gives an open row the first `tokens` that another one has computed of the same text: a multiple of the unit, more than it has
   * itself. Both go on as before, and neither needs the other.
   */
  copy(from: Row, to: Row, tokens: Tokens): void;
}

/**
 * Tensors of one base in one runtime session. Knows tensors, never queues: the planner says what to run.
 * Not re-entrant: attach, fill, detach, open, close, keep, forget, copy, run and acceptDraft are called one after another.
 */
export interface Runner extends AsyncDisposable {
  readonly base: BaseInfo;
  readonly limits: RunnerLimits;
  /** Gives a delta its place in the packed tables. Undefined when there is no room; then nothing has changed. Not to be run before it is filled. */
  attach(delta: LoadedDelta): Slot | undefined;
  /** Copies the next part of an attached delta, as much as running rows may wait for. True when all of it is there. */
  fill(slot: Slot): boolean | Promise<boolean>;
  detach(slot: Slot): void;
  /**
   * Reserves cache for a sequence that will never exceed `tokensMax`, and that has the tokens `from` where it begins. Undefined
   * when there is no room beside the open rows and what is kept.
   */
  open(tokensMax: Tokens, from?: Beginning): Row | undefined;
  close(row: Row): void;
  /** Absent where nothing can be kept. */
  readonly prefixes?: PrefixKeeper;
  /** One step over all given rows, each with its own delta, context length and number of tokens. */
  run(rows: readonly StepRow[]): Promise<StepLogits>;
  /** Appends to a row's context the first `count` of what it had as `draftTokens` in the last step. Absent where no row may have any. */
  acceptDraft?(row: Row, count: Tokens): void;
  /** Time spent in the runtime's `run` so far, for the bench and the metrics. */
  readonly insideRunMs: number;
  readonly memory: RunnerMemory;
  /** Undefined on the processor, which has no bus between itself and its memory. */
  readonly bus?: BusTraffic;
}
