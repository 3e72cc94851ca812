import type { Claim, ClaimOutbox, Clock, Millis, NodeId, Outcome, Tokens, Usage } from "#kernel";
import type { ClaimFacts } from "../admission/index.ts";

/** What a crash of this router can lose of one request's bill, at most: so many tokens, in the customer's favour. */
const LOSS_TOKENS_MAX: Tokens = 16;
/**
 * A group is begun at half of that, so that its write has as long again before the stream has to wait for it. A slow text is
 * written down after the time; a fast one comes to the tokens first, so that the disk is not asked for every few tokens.
 */
const GROUP_TOKENS: Tokens = LOSS_TOKENS_MAX / 2;
const GROUP_MS_MAX: Millis = 500;

/** Which attempt on which node a claim speaks of. */
export interface Serving {
  readonly attempt: number;
  readonly nodeId: NodeId;
}

/**
 * Writes a request's claims: in passing while it runs, and durably before its last message leaves. Nothing is written
 * for a request that was given nothing.
 */
export class RequestMeter {
  readonly #outbox: ClaimOutbox;
  readonly #clock: Clock;
  readonly #facts: ClaimFacts;
  #writtenTokens: Tokens = 0;
  #durableTokens: Tokens = 0;
  #writtenAt: Millis;
  /** The write in progress; it never rejects. */
  #writing: Promise<void> | undefined;
  #failure: { readonly error: unknown } | undefined;
  #settled = false;
  #claimed = false;

  constructor(deps: { readonly outbox: ClaimOutbox; readonly clock: Clock }, facts: ClaimFacts) {
    this.#outbox = deps.outbox;
    this.#clock = deps.clock;
    this.#facts = facts;
    this.#writtenAt = deps.clock.monotonic();
  }

  /** Whether a claim is durable: the request is going to cost something. */
  get claimed(): boolean {
    return this.#claimed;
  }

  /** Tells that `usage` is about to be handed out. With a promise, it may be only once that resolves: the disk lags too far behind. */
  running(usage: Usage, serving: Serving): Promise<void> | undefined {
    // What can't be billed must not be served on.
    if (this.#failure) throw this.#failure.error;
    const grown = usage.completionTokens - this.#writtenTokens;
    const due = grown >= GROUP_TOKENS || (grown > 0 && this.#clock.monotonic() - this.#writtenAt >= GROUP_MS_MAX);
    if (due && !this.#writing) this.#writeGroup(usage, serving);
    return usage.completionTokens - this.#durableTokens > LOSS_TOKENS_MAX ? this.#caughtUp(usage, serving) : undefined;
  }

  /** The last claim: durable when it resolves. Only the first call counts. */
  async settle(outcome: Outcome, usage: Usage, serving: Serving): Promise<void> {
    if (this.#settled) return;
    this.#settled = true;
    if (usage.promptTokens + usage.completionTokens === 0) return;
    await this.#write(this.#claim(outcome, usage, serving));
  }

  #writeGroup(usage: Usage, serving: Serving): void {
    this.#writtenTokens = usage.completionTokens;
    this.#writtenAt = this.#clock.monotonic();
    this.#writing = this.#write(this.#claim("running", usage, serving)).then(
      () => {
        this.#durableTokens = usage.completionTokens;
        this.#writing = undefined;
      },
      (error: unknown) => {
        this.#failure = { error };
      },
    );
  }

  async #caughtUp(usage: Usage, serving: Serving): Promise<void> {
    while (usage.completionTokens - this.#durableTokens > LOSS_TOKENS_MAX) {
      if (!this.#writing) this.#writeGroup(usage, serving);
      await this.#writing;
      if (this.#failure) throw this.#failure.error;
    }
  }

  async #write(claim: Claim): Promise<void> {
    await this.#outbox.write(claim);
    this.#claimed = true;
  }

  #claim(outcome: Outcome, usage: Usage, serving: Serving): Claim {
    return { ...this.#facts, ...serving, usage, outcome };
  }
}
