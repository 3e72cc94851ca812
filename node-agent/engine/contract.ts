import type { Bytes, Millis, TenantId, Tokens } from "#kernel";
import type { BaseInfo, LoadedDelta } from "#model";
import type { EngineLoss } from "./engine-loss.ts";
import type { BusTraffic, RunnerMemory } from "./runner/contract.ts";

/** A delta's place in the engine. Valid from attach to detach. */
export type Slot = number & { readonly brand?: "slot" };

/** Sampling, complete: every default is already applied and every range checked. */
export interface Sampling {
  /** 0 is greedy. */
  readonly temperature: number;
  /** 0 means all. */
  readonly topK: number;
  /** 1 means all. */
  readonly topP: number;
  /** 0 means all. */
  readonly minP: number;
  /** With the position in the text, the only source of chance: same seed, same text, whatever else is in the batch. */
  readonly seed: bigint;
  /** 1 is off; divides (multiplies, when negative) the logits of tokens in prompt or output (CTRL, 1909.05858). */
  readonly repetitionPenalty: number;
  /** Subtracted once from the logits of tokens in the output. */
  readonly presencePenalty: number;
  /** Subtracted per occurrence from the logits of tokens in the output. */
  readonly frequencyPenalty: number;
  readonly logitBias: ReadonlyMap<number, number>;
  /** How many alternatives to report with each token; undefined for no log-probabilities at all. */
  readonly topLogprobs: number | undefined;
}

/** One text to be continued: one choice of one request. */
export interface SequenceSpec {
  /** Unique in this engine. */
  readonly id: string;
  readonly tenantId: TenantId;
  readonly promptTokens: readonly number[];
  /** Already emitted by an earlier attempt: computed as context, never emitted or counted again. */
  readonly emittedTokens: readonly number[];
  /** Undefined for the plain base. */
  readonly slot: Slot | undefined;
  readonly sampling: Sampling;
  /** Counted from the end of the prompt, so `emittedTokens` are included. 0, with `promptLogprobs`, only scores the prompt. */
  readonly maxTokens: Tokens;
  /** Ids that end the text. The ending token is emitted with the finish. */
  readonly stopTokenIds: ReadonlySet<number>;
  /** Also report the log-probability of every prompt token (and `topLogprobs` alternatives). */
  readonly promptLogprobs: boolean;
}

export interface TokenLogprob {
  readonly tokenId: number;
  /** Natural logarithm, of the distribution before temperature and truncation. */
  readonly logprob: number;
  readonly top: readonly { readonly tokenId: number; readonly logprob: number }[];
}

/**
 * What a sequence tells, in order: perhaps the prompt's log-probabilities (not for a resumed text) or how much of the prompt was
 * kept from earlier texts (where any was), then one event per token, the last with a finish.
 */
export type SequenceEvent =
  | { readonly kind: "reused"; readonly promptTokens: Tokens }
  | { readonly kind: "prompt"; readonly logprobs: readonly (TokenLogprob | undefined)[] }
  | {
      readonly kind: "token";
      readonly tokenId: number;
      readonly logprob: TokenLogprob | undefined;
      /** Set on the last token only: `stop` for a stop token, `length` for maxTokens or the end of the context. */
      readonly finish: "stop" | "length" | undefined;
    };

/** What the engine keeps of texts that have ended, for others that begin alike. */
export interface PrefixLoad {
  /** Tokens of all texts that might have begun where one of their owner's is kept, and those of them that did not have to be computed. */
  readonly queriedTokens: Tokens;
  readonly hitTokens: Tokens;
  /** Kept now. Room that rows may have: it is no part of `kvTokensUsed`. */
  readonly keptTokens: Tokens;
  readonly keptBytes: Bytes;
  /** Kept texts that had to go for others or for rows. */
  readonly evictions: number;
}

/** How well the engine guesses what its texts go on with. */
export interface SpeculationLoad {
  /** Tokens that were computed before it was known whether they come next, and those of them that did: as many steps were spared. */
  readonly draftedTokens: Tokens;
  readonly acceptedTokens: Tokens;
}

/** How busy the engine is. */
export interface EngineLoad {
  readonly rowsRunning: number;
  readonly rowsMax: number;
  readonly queueDepth: number;
  readonly queueDepthMax: number;
  readonly slotsUsed: number;
  readonly slotsMax: number;
  readonly kvTokensUsed: Tokens;
  readonly kvTokensMax: Tokens;
  /** How often so far a sequence gave up its row, because nobody read it or for a tenant with less. */
  readonly parkings: number;
  /** Distinct deltas among the running rows. */
  readonly deltasRunning: number;
  /** Steps run so far. */
  readonly steps: number;
  /** Time spent in those steps, in the runtime's kernels and outside of them. */
  readonly insideRunMs: Millis;
  readonly outsideRunMs: Millis;
  /** Prompt and completion tokens computed so far. */
  readonly promptTokens: Tokens;
  readonly completionTokens: Tokens;
  readonly prefixes: PrefixLoad;
  readonly speculation: SpeculationLoad;
  /** What is held where the engine computes. */
  readonly memory: RunnerMemory;
  /** Undefined on the processor. */
  readonly bus: BusTraffic | undefined;
}

/**
 * What a node agent drives: one base in one runtime, many deltas in its slots, many sequences in its batch.
 *
 * `attach` never stalls the running batch for longer than one copy of the delta; it throws Fault capacity_exhausted when
 * no slot or table row is free (the caller detaches something first). `detach` of a slot that a sequence uses is a
 * broken invariant. `generate` takes the sequence in when its iteration begins: that throws Fault queue_full at once when
 * the queue is full, and Fault engine_lost when the engine has ended or ends later; abort of `signal` frees the row within
 * one step and ends the iteration with the signal's reason.
 */
export interface Engine extends AsyncDisposable {
  readonly base: BaseInfo;
  attach(delta: LoadedDelta): Promise<Slot>;
  detach(slot: Slot): Promise<void>;
  generate(sequence: SequenceSpec, signal: AbortSignal): AsyncIterable<SequenceEvent>;
  load(): EngineLoad;
  /** Resolves with the reason when the engine can't go on; the owner starts another. */
  readonly lost: Promise<EngineLoss>;
}
