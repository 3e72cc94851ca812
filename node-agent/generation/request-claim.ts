import { type Claim, type ClaimOutbox, type Clock, type Millis, type Outcome, SECOND, type Tokens, type Usage } from "#kernel";

/** What never changes about the claims of one attempt. */
export type ClaimIdentity = Omit<Claim, "usage" | "outcome">;

/** A crash forgets at most this much of a long answer. */
const RUNNING_CLAIM_MS: Millis = SECOND;
const RUNNING_CLAIM_TOKENS: Tokens = 256;

/**
 * Says to the ledger what one attempt has handed over, and nothing that was not handed over: now and then while it runs,
 * and in any case at its end. Not for use by two at a time.
 */
export class RequestClaim {
  readonly #outbox: Pick<ClaimOutbox, "write">;
  readonly #clock: Clock;
  readonly #identity: ClaimIdentity;
  #handedOver: Usage;
  #written: Usage;
  #writtenAt: Millis;
  #writing: Promise<void> | undefined;
  #failure: { readonly error: unknown } | undefined;
  #ended = false;

  constructor(deps: { readonly clock: Clock; readonly claims: Pick<ClaimOutbox, "write"> }, identity: ClaimIdentity, start: Usage) {
    this.#outbox = deps.claims;
    this.#clock = deps.clock;
    this.#identity = identity;
    this.#handedOver = start;
    this.#written = start;
    this.#writtenAt = deps.clock.monotonic();
  }

  /** The reader took what brings the usage to `usage`. @throws what the outbox threw: what can't be billed is not served on. */
  handedOver(usage: Usage): void {
    if (this.#failure) throw this.#failure.error;
    this.#handedOver = usage;
    const fresh = usage.completionTokens - this.#written.completionTokens;
    const due = fresh >= RUNNING_CLAIM_TOKENS || this.#clock.monotonic() - this.#writtenAt >= RUNNING_CLAIM_MS;
    if (due && !this.#writing) this.#writeRunning(usage);
  }

  /** With the last message, before the stream ends: durable when it resolves. */
  async complete(usage: Usage): Promise<void> {
    this.#ended = true;
    this.#handedOver = usage;
    await this.#write("completed");
  }

  /** The attempt ended early; a no-op after {@link complete}. Nothing is written where nothing was handed over. */
  async cutShort(outcome: "cancelled" | "failed"): Promise<void> {
    if (this.#ended) return;
    this.#ended = true;
    if (this.#handedOver.promptTokens > 0) await this.#write(outcome);
  }

  #writeRunning(usage: Usage): void {
    this.#written = usage;
    this.#writtenAt = this.#clock.monotonic();
    this.#writing = this.#write("running").then(
      () => {
        this.#writing = undefined;
      },
      (error: unknown) => {
        this.#failure = { error };
      },
    );
  }

  #write(outcome: Outcome): Promise<void> {
    return this.#outbox.write({ ...this.#identity, usage: this.#handedOver, outcome });
  }
}
