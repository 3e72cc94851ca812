import { assert, BoundedQueue, type TenantId, type Tokens } from "#kernel";
import type { SequenceEvent, SequenceSpec, TokenLogprob } from "./contract.ts";
import type { EngineOptions } from "./engine-options.ts";
import type { RunningSequence, WaitingSequence } from "./planner.ts";
import type { Row, StepRow } from "./runner/contract.ts";
import { needsHistory, type Sampler, TokenHistory } from "./sampling/index.ts";

/** The prompt's log-probabilities and the first token may come from the same step. */
const EVENTS_PER_STEP_MAX = 2;

/** What a step has brought. */
export interface Progress {
  readonly newTokens: 0 | 1;
  /** Its last event has been offered. */
  readonly finished: boolean;
}

/**
 * One text on its way through the engine: waiting (no row) → prefilling (some of its context is computed) → decoding
 * (all but the newest token is) → ended (holds nothing, except events that its consumer may still read). A sequence that is
 * parked has lost its row and with it what was computed; it waits again, and what it has emitted is context then.
 */
export class Sequence implements WaitingSequence, RunningSequence {
  readonly spec: SequenceSpec;
  readonly events: BoundedQueue<SequenceEvent>;
  readonly reservedTokens: Tokens;
  row: Row | undefined;
  ended = false;
  timesParked = 0;
  stepsPassedOver = 0;
  /** Prompt and everything emitted so far, here or by an earlier attempt. */
  readonly #tokens: number[];
  /** How many of `tokens` are in the KV cache. */
  #computed = 0;
  /** How many of them were known when it was given its row. */
  #contextTokens: Tokens;
  readonly #completionMax: Tokens;
  readonly #undeliveredMax: number;
  readonly #history: TokenHistory | undefined;
  /** Grows during prefill; undefined when not wanted. The first token of a text has no probability. */
  #promptLogprobs: (TokenLogprob | undefined)[] | undefined;
  readonly #scoredChunkTokensMax: Tokens;

  constructor(spec: SequenceSpec, completionMax: Tokens, options: EngineOptions) {
    this.spec = spec;
    this.#completionMax = completionMax;
    this.#undeliveredMax = options.undeliveredEventsMax;
    this.#tokens = [...spec.promptTokens, ...spec.emittedTokens];
    this.#contextTokens = this.#tokens.length;
    this.events = new BoundedQueue(options.undeliveredEventsMax + EVENTS_PER_STEP_MAX);
    this.reservedTokens = spec.promptTokens.length + completionMax;
    this.#history = needsHistory(spec.sampling) ? new TokenHistory(spec.promptTokens, spec.emittedTokens) : undefined;
    // A resumed text has had its prompt's log-probabilities from the attempt that began it.
    this.#promptLogprobs = spec.promptLogprobs && spec.emittedTokens.length === 0 ? [undefined] : undefined;
    this.#scoredChunkTokensMax = options.scoredChunkTokensMax;
  }

  get tenantId(): TenantId {
    return this.spec.tenantId;
  }

  get phase(): "prefilling" | "decoding" {
    return this.#computed < this.#contextTokens ? "prefilling" : "decoding";
  }

  get chunkTokensMax(): Tokens {
    return this.#promptLogprobs ? this.#scoredChunkTokensMax : Number.POSITIVE_INFINITY;
  }

  get computedTokens(): Tokens {
    return this.#computed;
  }

  /** Whether it was given a row before: its prompt has been counted. */
  get resumed(): boolean {
    return this.timesParked > 0;
  }

  /** It has lost its row. */
  park(): void {
    this.row = undefined;
    this.timesParked++;
    this.#computed = 0;
    this.#contextTokens = this.#tokens.length;
    // Half told is not told: the prompt is scored from its beginning again.
    if (this.#promptLogprobs) this.#promptLogprobs = [undefined];
  }

  get pendingTokens(): Tokens {
    return this.#tokens.length - this.#computed;
  }

  get paused(): boolean {
    return this.events.depth >= this.#undeliveredMax;
  }

  /** Its part of the next step. */
  stepRow(tokenCount: Tokens): StepRow {
    assert(this.row !== undefined, `sequence ${this.spec.id} has no row`);
    const tokens = this.#tokens.slice(this.#computed, this.#computed + tokenCount);
    const last = tokenCount === this.pendingTokens ? "last" : "none";
    const logits = this.phase === "prefilling" && this.#promptLogprobs ? "all" : last;
    return { row: this.row, tokens, slot: this.spec.slot, logits };
  }

  /**
   * Takes in what a step computed for {@link stepRow}: logits [n, vocabularySize]. Offers events. Throws Fault `bug` when the logits are not finite.
   */
  apply(tokenCount: Tokens, logits: Float32Array, sampler: Sampler, vocabularySize: number): Progress {
    if (this.phase === "prefilling" && this.#promptLogprobs) this.#scorePrompt(tokenCount, logits, sampler, vocabularySize);
    this.#computed += tokenCount;
    if (this.pendingTokens > 0) return { newTokens: 0, finished: false };
    if (this.#completionMax === 0) return { newTokens: 0, finished: true }; // Only the prompt was to be scored.
    return { newTokens: 1, finished: this.#addToken(logits.subarray(logits.length - vocabularySize), sampler) };
  }

  #scorePrompt(tokenCount: Tokens, logits: Float32Array, sampler: Sampler, vocabularySize: number): void {
    const logprobs = this.#promptLogprobs!;
    const { promptTokens, sampling } = this.spec;
    for (let index = 0; index < tokenCount && logprobs.length < promptTokens.length; index++) {
      const own = logits.subarray(index * vocabularySize, (index + 1) * vocabularySize);
      logprobs.push(sampler.score(own, promptTokens[logprobs.length]!, sampling.topLogprobs ?? 0));
    }
    if (this.#computed + tokenCount < promptTokens.length) return;
    this.#offer({ kind: "prompt", logprobs });
    this.#promptLogprobs = undefined;
  }

  /** True when that was the last. */
  #addToken(logits: Float32Array, sampler: Sampler): boolean {
    const { sampling, promptTokens, stopTokenIds } = this.spec;
    const tokenId = sampler.pick(logits, sampling, this.#history, this.#tokens.length - promptTokens.length);
    const logprob = sampling.topLogprobs === undefined ? undefined : sampler.score(logits, tokenId, sampling.topLogprobs);
    this.#tokens.push(tokenId);
    this.#history?.add(tokenId);
    const full = this.#tokens.length - promptTokens.length >= this.#completionMax;
    const finish = stopTokenIds.has(tokenId) ? "stop" : full ? "length" : undefined;
    this.#offer({ kind: "token", tokenId, logprob, finish });
    return finish !== undefined;
  }

  #offer(event: SequenceEvent): void {
    assert(this.events.offer(event), `sequence ${this.spec.id} ran although its events are not read`);
  }
}
