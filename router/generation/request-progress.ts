import { assert, type Fault, NO_USAGE, type Usage } from "#kernel";
import { type ChoiceProgress, FinishReason, type NodeServiceGenerateResponse } from "#proto";

/** One node's death is common, two in one request rare; what fails on four nodes fails because of the request. */
export const ATTEMPTS_MAX = 4;

/** What to do after an attempt broke. */
export type Next = { readonly kind: "again" } | { readonly kind: "fail"; readonly fault: Fault };

interface Choice {
  readonly tokenIds: number[];
  finished: boolean;
}

/**
 * How far a request has come, over all of its attempts: pure, so that every order of pieces and faults can be tried.
 * Invariant: `usage.completionTokens` is the number of tokens that were taken, each exactly once.
 */
export class RequestProgress {
  readonly #choices: readonly Choice[];
  #attempt = 0;
  #producedInAttempt = false;
  #unfinished: number;
  #usage: Usage = NO_USAGE;

  constructor(choiceCount: number) {
    assert(choiceCount >= 1, "a request has at least one choice");
    this.#choices = Array.from({ length: choiceCount }, () => ({ tokenIds: [], finished: false }));
    this.#unfinished = choiceCount;
  }

  /** Of the attempt in progress, from 1; 0 before the first. */
  get attempt(): number {
    return this.#attempt;
  }

  /** Of everything taken so far. */
  get usage(): Usage {
    return this.#usage;
  }

  /** Every choice has its finish reason. */
  get done(): boolean {
    return this.#unfinished === 0;
  }

  /** Begins the next attempt; gives what its node has to know of the earlier ones. */
  begin(): ChoiceProgress[] {
    assert(this.#attempt < ATTEMPTS_MAX && !this.done, "no attempt is left, or nothing is left to do");
    this.#attempt++;
    this.#producedInAttempt = false;
    if (this.#attempt === 1) return [];
    return this.#choices.map(({ tokenIds, finished }, choice) => ({ choice, tokenIds: [...tokenIds], finished }));
  }

  /** Accounts for a piece. False for one that a sane node does not send: no such choice, or one that has ended. */
  take(piece: NodeServiceGenerateResponse): boolean {
    const choice = this.#choices[piece.choice];
    if (!choice || choice.finished) return false;
    choice.tokenIds.push(...piece.tokenIds);
    if (piece.finishReason !== FinishReason.FINISH_REASON_UNSPECIFIED) {
      choice.finished = true;
      this.#unfinished--;
    }
    this.#producedInAttempt = true;
    const promptTokens = Math.max(this.#usage.promptTokens, piece.usage?.promptTokens ?? 0);
    this.#usage = {
      promptTokens,
      cachedTokens: Math.min(promptTokens, Math.max(this.#usage.cachedTokens, piece.usage?.cachedTokens ?? 0)),
      completionTokens: this.#usage.completionTokens + piece.tokenIds.length,
    };
    return true;
  }

  /**
   * Another node may go on when the fault is the node's own and not the request's: always after `other_node`, and after
   * a refusal for want of room, as long as the attempt has given nothing.
   */
  after(fault: Fault): Next {
    const movable = fault.retry.kind === "other_node" || (fault.retry.kind === "after" && !this.#producedInAttempt);
    return movable && this.#attempt < ATTEMPTS_MAX ? { kind: "again" } : { kind: "fail", fault };
  }
}
