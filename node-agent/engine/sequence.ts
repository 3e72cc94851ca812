import { assert, BoundedQueue, type TenantId, type Tokens } from "#kernel";
import type { SequenceEvent, SequenceSpec, TokenLogprob } from "./contract.ts";
import type { EngineOptions } from "./engine-options.ts";
import type { RunningSequence, WaitingSequence } from "./planner.ts";
import type { CachedText, OpenedRow, PrefixText, TextChain, TextOwner } from "./prefix/index.ts";
import type { Row, RowLogits, StepRow, TopLogits } from "./runner/contract.ts";
import { denseLogits, isTop } from "./runner/step-logits.ts";
import { asksForTop, needsHistory, type Sampler, type Samplers, TokenHistory } from "./sampling/index.ts";
import { type Continuation, TextLookup } from "./speculation/index.ts";

/** The prompt's log-probabilities, or how much of it was reused, may come with the first token. A draft's tokens come beside that. */
const EVENTS_PER_STEP_MAX = 2;

/** When the largest logits do not decide a token, it and the next come from all, so many together: flat distributions come in runs. */
const DENSE_TOKENS = 8;

/** What a step has brought. */
export interface Progress {
  readonly newTokens: Tokens;
  /** How many tokens of the draft were right: the row has them in its context from now on. */
  readonly acceptedTokens: Tokens;
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
export class Sequence implements WaitingSequence, RunningSequence, CachedText {
  readonly spec: SequenceSpec;
  readonly owner: TextOwner;
  readonly events: BoundedQueue<SequenceEvent>;
  readonly reservedTokens: Tokens;
  row: Row | undefined;
  chain: TextChain = [];
  ended = false;
  timesParked = 0;
  stepsPassedOver = 0;
  /** Prompt and everything emitted so far, here or by an earlier attempt. */
  readonly #tokens: number[];
  /** How many of `tokens` are in the KV cache. */
  #computed = 0;
  /** What logits have shown of it: that all of it is finite, nothing so far, or, of a text that ends for it, that it is not. */
  #values: "finite" | "unknown" | "wrong" = "unknown";
  /** Of them, how many were computed for other texts; undefined once that has been told. */
  #reused: Tokens | undefined = 0;
  /** How many of them were known when it was given its row. */
  #contextTokens: Tokens;
  readonly #completionMax: Tokens;
  readonly #undeliveredMax: number;
  readonly #history: TokenHistory | undefined;
  /** Grows during prefill; undefined when not wanted. The first token of a text has no probability. */
  #promptLogprobs: (TokenLogprob | undefined)[] | undefined;
  readonly #scoredChunkTokensMax: Tokens;
  readonly #asksForTop: boolean;
  /** Tokens for which not the largest logits but all are asked for. */
  #denseTokens = 0;
  readonly #lookup = new TextLookup();
  /** What the present step tries beyond the newest token. */
  #draft: readonly number[] = [];

  /** `life`: of its slot, see {@link TextOwner}. */
  constructor(spec: SequenceSpec, life: number, completionMax: Tokens, options: EngineOptions) {
    this.spec = spec;
    this.owner = { tenantId: spec.tenantId, life };
    this.#completionMax = completionMax;
    this.#undeliveredMax = options.undeliveredEventsMax;
    this.#tokens = [...spec.promptTokens, ...spec.emittedTokens];
    this.#contextTokens = this.#tokens.length;
    this.events = new BoundedQueue(options.undeliveredEventsMax + EVENTS_PER_STEP_MAX + options.draftTokensMax);
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
    return this.#promptLogprobs ? undefined : { owner: this.owner, tokens: this.#tokens };
  }

  /** What its row holds and others may begin with. */
  get soundText(): PrefixText | undefined {
    return this.#values === "finite" ? { owner: this.owner, tokens: this.#tokens.slice(0, this.#computed) } : undefined;
  }

  /** Who begins alike has what is not finite from its own computing too, and its own logits tell. */
  get shareableTokens(): Tokens {
    return this.#values === "wrong" ? 0 : this.#computed;
  }

  begin({ row, reusedTokens, chain }: OpenedRow): void {
    this.row = row;
    this.chain = chain;
    this.#reused &&= 0; // None has been told, and they were lost with its row.
    this.skipTo(reusedTokens);
  }

  skipTo(computedTokens: Tokens): void {
    const promptTokens = (tokens: Tokens) => Math.min(tokens, this.spec.promptTokens.length);
    if (this.#reused !== undefined) this.#reused += promptTokens(computedTokens) - promptTokens(this.#computed);
    this.#computed = computedTokens;
  }

  /** It has lost its row. */
  park(): void {
    this.row = undefined;
    this.timesParked++;
    this.#computed = 0;
    this.#values = "unknown";
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

  /** How it may go on while it decodes, never beyond its end: with the last token that it may have there is nothing left to try. */
  continuation(most: Tokens): Continuation | undefined {
    return this.#lookup.continue(this.#tokens, Math.min(most, this.#completionMax - this.#position - 1));
  }

  /** Its part of the next step: `tokenCount` of what it knows, and after that perhaps a draft. */
  stepRow(tokenCount: Tokens, draft: readonly number[]): StepRow {
    assert(this.row !== undefined, `sequence ${this.spec.id} has no row`);
    this.#draft = draft;
    const tokens = this.#tokens.slice(this.#computed, this.#computed + tokenCount);
    const part = { row: this.row, slot: this.spec.slot };
    if (draft.length === 0) return { ...part, tokens, logits: this.#wantedLogits(tokenCount) };
    return { ...part, tokens: [...tokens, ...draft], draftTokens: draft.length, logits: "all" };
  }

  /**
   * Takes in what a step computed for {@link stepRow}. Offers events. Undefined when the largest logits don't tell the next token:
   * nothing has changed then, and it is to be called again with all. Throws Fault `bug` when the logits are not finite.
   */
  apply(tokenCount: Tokens, logits: RowLogits, samplers: Samplers): Progress | undefined {
    this.#values = "wrong"; // Until they are looked at.
    if (this.#draft.length > 0) return this.#verify(denseLogits(logits), samplers);
    const next = isTop(logits) ? this.#nextFromTop(logits, samplers) : this.#nextFromAll(tokenCount, logits, samplers);
    if (next === "undecided") {
      this.#denseTokens = DENSE_TOKENS;
      return undefined;
    }
    this.#computed += tokenCount;
    this.#values = "unknown";
    if (this.pendingTokens > 0) return { newTokens: 0, acceptedTokens: 0, finished: false };
    if (!next) return { newTokens: 0, acceptedTokens: 0, finished: true }; // Only the prompt was to be scored.
    if (this.#denseTokens > 0) this.#denseTokens--;
    this.#values = "finite";
    return { newTokens: 1, acceptedTokens: 0, finished: this.#addToken(next) };
  }

  /** It ended while a step ran. What that computed of its prompt others may have. */
  leave(tokenCount: Tokens): void {
    if (this.phase === "decoding") return;
    this.#computed += tokenCount;
    this.#values = "unknown";
  }

  /**
   * Chooses token after token from the logits behind the newest one and behind each of the draft, as single steps would: as long as
   * a token is the draft's, the logits behind that are those of the text. [1 + draft, vocabularySize].
   */
  #verify(logits: Float32Array, { all, vocabularySize }: Samplers): Progress {
    const draft = this.#draft;
    let accepted = 0;
    for (;;) {
      const next = this.#nextFrom(logits.subarray(accepted * vocabularySize, (accepted + 1) * vocabularySize), all);
      const finished = this.#addToken(next);
      if (!finished && next.tokenId === draft[accepted]) {
        accepted++;
        continue;
      }
      this.#computed += 1 + accepted;
      this.#values = "finite";
      return { newTokens: 1 + accepted, acceptedTokens: accepted, finished };
    }
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
    return this.#nextFrom(logits.subarray(logits.length - vocabularySize), all);
  }

  #nextFrom(logits: Float32Array, sampler: Sampler): NextToken {
    const { sampling } = this.spec;
    const tokenId = sampler.pick(logits, sampling, this.#history, this.#position);
    return { tokenId, logprob: sampling.topLogprobs === undefined ? undefined : sampler.score(logits, tokenId, sampling.topLogprobs) };
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
