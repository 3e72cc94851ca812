import { assert, BoundedQueue, type TenantId, type Tokens } from "#kernel";
import type { SequenceEvent, SequenceSpec, TokenLogprob } from "./contract.ts";
import type { EngineOptions } from "./engine-options.ts";
import type { RunningSequence, WaitingSequence } from "./planner.ts";
import type { OpenedRow, PrefixText } from "./prefix/index.ts";
import type { Row, RowLogits, StepRow, TopLogits } from "./runner/contract.ts";
import { isTop } from "./runner/step-logits.ts";
import { asksForTop, needsHistory, type Sampler, type Samplers, TokenHistory } from "./sampling/index.ts";

/** The prompt's log-probabilities, or how much of it was reused, may come with the first token. */
const EVENTS_PER_STEP_MAX = 2;

/** When the largest logits do not decide a token, it and the next come from all, so many together: flat distributions come in runs. */
const DENSE_TOKENS = 8;

/** What a step has brought. */
export interface Progress {
  readonly newTokens: 0 | 1;
  /** Its last event has been offered. */
  readonly finished: boolean;
}

interface NextToken {
  readonly tokenId: number;
  readonly logprob: TokenLogprob | undefined;
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
  /** Whether logits have shown that all of it is finite; never of a text that ends because it went wrong. */
  #sound = false;
  /** Of them, how many were kept from earlier texts; undefined once that has been told. */
  #reused: Tokens | undefined = 0;
  /** How many of them were known when it was given its row. */
  #contextTokens: Tokens;
  readonly #completionMax: Tokens;
  readonly #owner: PrefixText["owner"];
  readonly #undeliveredMax: number;
  readonly #history: TokenHistory | undefined;
  /** Grows during prefill; undefined when not wanted. The first token of a text has no probability. */
  #promptLogprobs: (TokenLogprob | undefined)[] | undefined;
  readonly #scoredChunkTokensMax: Tokens;
  readonly #asksForTop: boolean;
  /** Tokens for which not the largest logits but all are asked for. */
  #denseTokens = 0;

  /** `life`: of its slot, see {@link TextOwner}. */
  constructor(spec: SequenceSpec, life: number, completionMax: Tokens, options: EngineOptions) {
    this.spec = spec;
    this.#owner = { tenantId: spec.tenantId, life };
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
    this.#asksForTop = asksForTop(spec.sampling);
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

  /** What may begin where an earlier text is kept: all it knows, but nothing of a prompt whose every logit is wanted. */
  get reusableText(): PrefixText | undefined {
    return this.#promptLogprobs ? undefined : { owner: this.#owner, tokens: this.#tokens };
  }

  /** What its row holds and others may begin with. */
  get soundText(): PrefixText | undefined {
    return this.#sound ? { owner: this.#owner, tokens: this.#tokens.slice(0, this.#computed) } : undefined;
  }

  /** It has been given a row. */
  begin({ row, reusedTokens }: OpenedRow): void {
    this.row = row;
    this.#computed = reusedTokens;
    if (this.#reused !== undefined) this.#reused = Math.min(reusedTokens, this.spec.promptTokens.length);
  }

  /** It has lost its row. */
  park(): void {
    this.row = undefined;
    this.timesParked++;
    this.#computed = 0;
    this.#sound = false;
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
    return { row: this.row, tokens, slot: this.spec.slot, logits: this.#wantedLogits(tokenCount) };
  }

  /**
   * Takes in what a step computed for {@link stepRow}. Offers events. Undefined when the largest logits don't tell the next token:
   * nothing has changed then, and it is to be called again with all. Throws Fault `bug` when the logits are not finite.
   */
  apply(tokenCount: Tokens, logits: RowLogits, samplers: Samplers): Progress | undefined {
    this.#sound = false;
    const next = isTop(logits) ? this.#nextFromTop(logits, samplers) : this.#nextFromAll(tokenCount, logits, samplers);
    if (next === "undecided") {
      this.#denseTokens = DENSE_TOKENS;
      return undefined;
    }
    this.#computed += tokenCount;
    if (this.pendingTokens > 0) return { newTokens: 0, finished: false };
    if (!next) return { newTokens: 0, finished: true }; // Only the prompt was to be scored.
    if (this.#denseTokens > 0) this.#denseTokens--;
    this.#sound = true;
    return { newTokens: 1, finished: this.#addToken(next) };
  }

  #wantedLogits(tokenCount: Tokens): StepRow["logits"] {
    if (this.phase === "prefilling" && this.#promptLogprobs) return "all";
    if (tokenCount < this.pendingTokens || this.#completionMax === 0) return "none";
    return this.#asksForTop && this.#denseTokens === 0 ? "top" : "last";
  }

  #nextFromTop(logits: TopLogits, { top }: Samplers): NextToken | "undecided" {
    const { sampling } = this.spec;
    const tokenId = top.pick(logits, sampling, this.#position);
    if (tokenId === undefined) return "undecided";
    return { tokenId, logprob: sampling.topLogprobs === undefined ? undefined : top.score(logits, tokenId, sampling.topLogprobs) };
  }

  /** Undefined when the step ends before the next token. */
  #nextFromAll(tokenCount: Tokens, logits: Float32Array, { all, vocabularySize }: Samplers): NextToken | undefined {
    if (this.phase === "prefilling" && this.#promptLogprobs) this.#scorePrompt(tokenCount, logits, all, vocabularySize);
    if (tokenCount < this.pendingTokens || this.#completionMax === 0) return undefined;
    const { sampling } = this.spec;
    const last = logits.subarray(logits.length - vocabularySize);
    const tokenId = all.pick(last, sampling, this.#history, this.#position);
    return { tokenId, logprob: sampling.topLogprobs === undefined ? undefined : all.score(last, tokenId, sampling.topLogprobs) };
  }

  /** Of the next token, from the end of the prompt. */
  get #position(): number {
    return this.#tokens.length - this.spec.promptTokens.length;
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
  #addToken({ tokenId, logprob }: NextToken): boolean {
    if (this.#reused) this.#offer({ kind: "reused", promptTokens: this.#reused });
    this.#reused = undefined;
    this.#tokens.push(tokenId);
    this.#history?.add(tokenId);
    const full = this.#position >= this.#completionMax;
    const finish = this.spec.stopTokenIds.has(tokenId) ? "stop" : full ? "length" : undefined;
    this.#offer({ kind: "token", tokenId, logprob, finish });
    return finish !== undefined;
  }

  #offer(event: SequenceEvent): void {
    assert(this.events.offer(event), `sequence ${this.spec.id} ran although its events are not read`);
  }
}
