import type { Bytes, Clock, Tokens } from "#kernel";
import type { BaseInfo, LoadedDelta } from "#model";
import type { Compute } from "../compute.ts";
import type { Slot } from "../contract.ts";

/** A sequence's place in the KV cache, from open to close. */
export type Row = number & { readonly brand?: "row" };

/** What one sequence does in one step: some of its next tokens go in, perhaps logits come out. */
export interface StepRow {
  readonly row: Row;
  /** Appended to the row's context in this step; one when decoding, more in a chunk of prefill. Never empty. */
  readonly tokens: readonly number[];
  readonly slot: Slot | undefined;
  /** For which of `tokens` the logits are wanted. */
  readonly logits: "none" | "last" | "all";
}

/** Logits of one step, by index of its rows: [n, vocabularySize] row-major, n = 0, 1 or the number of tokens. Valid until the next run. */
export type StepLogits = readonly Float32Array[];

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
 * Tensors of one base in one runtime session. Knows tensors, never queues: the planner says what to run.
 * Not re-entrant: attach, detach, open, close and run are called one after another.
 */
export interface Runner extends AsyncDisposable {
  readonly base: BaseInfo;
  readonly limits: RunnerLimits;
  /** Copies a delta into the packed tables. Undefined when there is no room; then nothing has changed. */
  attach(delta: LoadedDelta): Slot | undefined;
  detach(slot: Slot): void;
  /** Reserves cache for a sequence that will never exceed `tokensMax`. Undefined when there is no room. */
  open(tokensMax: Tokens): Row | undefined;
  close(row: Row): void;
  /** One step over all given rows, each with its own delta, context length and number of tokens. */
  run(rows: readonly StepRow[]): Promise<StepLogits>;
  /** Time spent in the runtime's `run` so far, for the bench and the metrics. */
  readonly insideRunMs: number;
  readonly memoryBytes: Bytes;
}
