import { LRUCache } from "lru-cache";
import type { Tokens } from "#kernel";
import type { SpeculationLoad } from "../contract.ts";
import type { TextOwner } from "../prefix/index.ts";
import type { Row, Runner } from "../runner/contract.ts";
import { type DraftRate, DraftRates } from "./draft-rate.ts";
import { type Draft, type DraftBudget, draftDepth, draftTokensMost } from "./step-drafts.ts";
import type { Continuation } from "./text-lookup.ts";

/** A text that may have a part in a step. */
export interface DraftingText {
  readonly phase: "prefilling" | "decoding";
  readonly row: Row | undefined;
  readonly owner: TextOwner;
  /** How it may go on, by at most `most` tokens. */
  continuation(most: Tokens): Continuation | undefined;
}

interface LearningDraft extends Draft {
  readonly kind: DraftRate;
}

/** Owners whose rates are remembered: more than have deltas in the engine. */
const OWNERS_MAX = 1024;

/**
 * Decides what the texts of one engine try in each step, and learns from what becomes of it. Rates are remembered from one text to
 * the next of the same tenant and delta, and no further: a tenant's pace says nothing about another's texts.
 */
export class Speculation {
  readonly #runner: Runner;
  readonly #budget: DraftBudget;
  readonly #rates = new LRUCache<string, DraftRates>({ max: OWNERS_MAX });
  /** In the present step. */
  #tried: ReadonlyMap<DraftingText, LearningDraft> = new Map();
  #draftedTokens: Tokens = 0;
  #acceptedTokens: Tokens = 0;

  constructor(runner: Runner, budget: DraftBudget) {
    this.#runner = runner;
    this.#budget = budget;
  }

  /** What is tried in a step over these texts. Nothing where the runner takes no drafts, or has enough to do. */
  plan(texts: readonly DraftingText[]): void {
    const decoding = texts.filter(({ phase }) => phase === "decoding");
    const most = this.#runner.acceptDraft ? draftTokensMost(decoding.length, this.#budget) : 0;
    const drafts = most === 0 ? [] : decoding.flatMap((text) => this.#draft(text, most));
    const depth = draftDepth(
      drafts.map(([, draft]) => draft),
      decoding.length,
    );
    if (depth === 0) for (const [, { kind }] of drafts) kind.spare();
    this.#tried = new Map(depth === 0 ? [] : drafts.map(([text, draft]) => [text, { ...draft, tokens: draft.tokens.slice(0, depth) }]));
    for (const { tokens } of this.#tried.values()) this.#draftedTokens += tokens.length;
  }

  /** What one of them tries. */
  draftOf(text: DraftingText): readonly number[] {
    return this.#tried.get(text)?.tokens ?? [];
  }

  /** The first `accepted` of what it tried were right, and its row has them from now on. */
  settle(text: DraftingText, accepted: Tokens): void {
    const draft = this.#tried.get(text);
    draft?.kind.learn(draft.tokens.length, accepted);
    if (accepted === 0) return;
    this.#runner.acceptDraft!(text.row!, accepted);
    this.#acceptedTokens += accepted;
  }

  get load(): SpeculationLoad {
    return { draftedTokens: this.#draftedTokens, acceptedTokens: this.#acceptedTokens };
  }

  #draft(text: DraftingText, most: Tokens): [DraftingText, LearningDraft][] {
    const continuation = text.continuation(most);
    if (!continuation) return [];
    const kind = this.#ratesOf(text.owner).after(continuation.matchedTokens);
    return [[text, { tokens: continuation.tokens, kind }]];
  }

  #ratesOf({ tenantId, life }: TextOwner): DraftRates {
    const owner = JSON.stringify([tenantId, life]);
    const known = this.#rates.get(owner) ?? new DraftRates();
    this.#rates.set(owner, known);
    return known;
  }
}
