import type { Tokens } from "#kernel";
import type { PrefixLoad } from "../contract.ts";
import type { Beginning, Row, Runner } from "../runner/contract.ts";
import { PrefixIndex } from "./prefix-index.ts";
import { type TextChain, type TextOwner, textChain } from "./text-chain.ts";

/** Tokens that are in the cache, or are to be. */
export interface PrefixText {
  readonly owner: TextOwner;
  readonly tokens: readonly number[];
}

/** A row, and how many of its tokens are computed already. */
export interface OpenedRow {
  readonly row: Row;
  readonly reusedTokens: Tokens;
}

/**
 * Opens the rows of a runner where texts of the same owner have been before, and keeps what they compute. What is kept never
 * stands in a row's way: it is forgotten, longest unused first, as soon as a row needs its room or `tokensMax` are kept.
 */
export class PrefixCache {
  readonly #runner: Runner;
  readonly #tokensMax: Tokens;
  /** Undefined where nothing is kept. */
  readonly #index: PrefixIndex | undefined;
  #queriedTokens: Tokens = 0;
  #hitTokens: Tokens = 0;
  #evictions = 0;

  constructor(runner: Runner, tokensMax: Tokens) {
    this.#runner = runner;
    this.#tokensMax = tokensMax;
    const { prefixes } = runner;
    const textsMax = prefixes ? Math.floor(tokensMax / prefixes.unitTokens) : 0;
    // Each text has a unit at least that no other has; one more is there until the oldest leaves for it.
    this.#index = textsMax > 0 ? new PrefixIndex(textsMax + 1, (prefix) => prefixes!.forget(prefix)) : undefined;
  }

  /**
   * Opens a row for `text`, where it was computed before as far as possible; its last token is never reused, because its logits
   * are what is wanted. Without a text it begins at its first token. Undefined when there is no room, even with nothing kept.
   */
  open(tokensMax: Tokens, text: PrefixText | undefined): OpenedRow | undefined {
    const found = text && this.#find({ ...text, tokens: text.tokens.slice(0, -1) });
    for (;;) {
      const from = found && this.#index?.has(found.prefix) ? found : undefined;
      const row = this.#runner.open(tokensMax, from);
      if (row !== undefined) return { row, reusedTokens: from?.tokens ?? 0 };
      if (!this.#evictOldest()) return undefined;
    }
  }

  /** What an opening has brought goes into the figures. */
  count(queriedTokens: Tokens, hitTokens: Tokens): void {
    if (!this.#index) return;
    this.#queriedTokens += queriedTokens;
    this.#hitTokens += hitTokens;
  }

  /** Keeps what a row has computed: `text` is its beginning. */
  keep(row: Row, { owner, tokens }: PrefixText): void {
    const { prefixes } = this.#runner;
    if (!this.#index || !prefixes) return;
    const chain = textChain(owner, tokens.slice(0, this.#tokensMax), prefixes.unitTokens);
    if (chain.length === 0) return;
    // Where there is no room, the oldest leaves for it; no more, since rows may have all the rest.
    if (!this.#tryKeep(row, chain, owner.life) && this.#evictOldest()) this.#tryKeep(row, chain, owner.life);
    while (prefixes.keptTokens > this.#tokensMax) this.#evictOldest();
  }

  /** False when there is no room. */
  #tryKeep(row: Row, chain: TextChain, life: number): boolean {
    const { prefixes } = this.#runner;
    const known = this.#index!.longest(chain);
    if (known?.units === chain.length) return true;
    const shared = known && { prefix: known.prefix, tokens: known.units * prefixes!.unitTokens };
    const prefix = prefixes!.keep(row, chain.length * prefixes!.unitTokens, shared);
    if (prefix === undefined) return false;
    this.#index!.add({ prefix, chain, life });
    return true;
  }

  /** The delta of this life is no longer in its slot. */
  forgetLife(life: number): void {
    this.#index?.dropLife(life);
  }

  get load(): PrefixLoad {
    const { keptTokens = 0, keptBytes = 0 } = this.#runner.prefixes ?? {};
    return { queriedTokens: this.#queriedTokens, hitTokens: this.#hitTokens, keptTokens, keptBytes, evictions: this.#evictions };
  }

  #find({ owner, tokens }: PrefixText): Beginning | undefined {
    const { prefixes } = this.#runner;
    if (!this.#index || !prefixes) return undefined;
    const found = this.#index.longest(textChain(owner, tokens, prefixes.unitTokens));
    return found && { prefix: found.prefix, tokens: found.units * prefixes.unitTokens };
  }

  #evictOldest(): boolean {
    if (!this.#index?.dropOldest()) return false;
    this.#evictions++;
    return true;
  }
}
