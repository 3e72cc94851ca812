import type { Claim, ClaimOutbox, Clock, Millis, NodeId, Outcome, Tokens, Usage } from "#kernel";
import type { ClaimFacts } from "../admission/index.ts";

/**
 * What a crash of this router can lose of one request's bill, at most: so many tokens, in the customer's favour. A slow text is
 * written down after the time; a fast one comes to the tokens first, so that the disk is not asked for every few tokens.
 */
const GROUP_TOKENS_MAX: Tokens = 16;
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
  #writtenAt: Millis;
  #writing = false;
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

  /** Tells that `usage` was handed out. Never waits for the disk; a group that is still being written lets the next one grow. */
  running(usage: Usage, serving: Serving): void {
    // What can't be billed must not be served on.
    if (this.#failure) throw this.#failure.error;
    const grown = usage.completionTokens - this.#writtenTokens;
    const due = grown >= GROUP_TOKENS_MAX || (grown > 0 && this.#clock.monotonic() - this.#writtenAt >= GROUP_MS_MAX);
    if (!due || this.#writing) return;
    this.#writing = true;
    this.#writtenTokens = usage.completionTokens;
    this.#writtenAt = this.#clock.monotonic();
    this.#write(this.#claim("running", usage, serving)).then(
      () => {
        this.#writing = false;
      },
      (error: unknown) => {
        this.#failure = { error };
      },
    );
  }

  /** The last claim: durable when it resolves. Only the first call counts. */
  async settle(outcome: Outcome, usage: Usage, serving: Serving): Promise<void> {
    if (this.#settled) return;
    this.#settled = true;
    if (usage.promptTokens + usage.completionTokens === 0) return;
    await this.#write(this.#claim(outcome, usage, serving));
  }

  async #write(claim: Claim): Promise<void> {
    await this.#outbox.write(claim);
    this.#claimed = true;
  }

  #claim(outcome: Outcome, usage: Usage, serving: Serving): Claim {
    return { ...this.#facts, ...serving, usage, outcome };
  }
}
