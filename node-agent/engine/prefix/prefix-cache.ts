import type { Tokens } from "#kernel";
import type { PrefixLoad } from "../contract.ts";
import type { Beginning, Row, Runner } from "../runner/contract.ts";
import { PrefixIndex } from "./prefix-index.ts";
import { commonUnits, type TextChain, type TextOwner, textChain } from "./text-chain.ts";

/** Tokens that are in the cache, or are to be. */
export interface PrefixText {
  readonly owner: TextOwner;
  readonly tokens: readonly number[];
}

/** A row, and how many of its tokens are computed already. */
export interface OpenedRow {
  readonly row: Row;
  readonly reusedTokens: Tokens;
  /** What the text may have in common with those in other rows. Empty where nothing is kept. */
  readonly chain: TextChain;
}

/** A text that is to get a row, or has one. */
export interface CachedText {
  readonly reservedTokens: Tokens;
  readonly reusableText: PrefixText | undefined;
  /** It had a row before: its prompt has been counted. */
  readonly resumed: boolean;
  readonly pendingTokens: Tokens;
  readonly computedTokens: Tokens;
  readonly phase: "prefilling" | "decoding";
  /** What others may have of what it has computed; nothing where it went wrong. */
  readonly shareableTokens: Tokens;
  readonly row: Row | undefined;
  readonly chain: TextChain;
  /** It has been given a row. */
  begin(opened: OpenedRow): void;
  /** Its row has so many tokens now, without having computed them all. */
  skipTo(computedTokens: Tokens): void;
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
   * are what is wanted. What is not reusable begins at its first token. False when there is no room, even with nothing kept.
   */
  open(text: CachedText): boolean {
    const chain = this.#chainOf(text.reusableText);
    const found = this.#find(chain);
    for (;;) {
      const from = found && this.#index?.has(found.prefix) ? found : undefined;
      const row = this.#runner.open(text.reservedTokens, from);
      if (row === undefined) {
        if (this.#evictOldest()) continue;
        return false;
      }
      const reusedTokens = from?.tokens ?? 0;
      if (this.#index && text.reusableText && !text.resumed) {
        this.#queriedTokens += text.pendingTokens;
        this.#hitTokens += reusedTokens;
      }
      text.begin({ row, reusedTokens, chain });
      return true;
    }
  }

  /**
   * Gives a text whose prompt is being computed what one of `others` has computed of it meanwhile. So texts that begin alike and come
   * together are computed as far as that by one of them, whichever has its turn, and nobody waits for a certain one. Returns how many
   * tokens that spares.
   */
  catchUp(text: CachedText, others: Iterable<CachedText>): Tokens {
    const { prefixes } = this.#runner;
    if (!prefixes || text.phase === "decoding" || text.chain.length === 0) return 0;
    let [tokens, source] = [text.computedTokens, text];
    for (const other of others) {
      const units = Math.min(commonUnits(text.chain, other.chain), Math.floor(other.shareableTokens / prefixes.unitTokens));
      if (units * prefixes.unitTokens > tokens) [tokens, source] = [units * prefixes.unitTokens, other];
    }
    if (source === text) return 0;
    const sparedTokens = tokens - text.computedTokens;
    prefixes.copy(source.row!, text.row!, tokens);
    text.skipTo(tokens);
    if (!text.resumed) this.#hitTokens += sparedTokens;
    return sparedTokens;
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

  /** All but its last token. */
  #chainOf(text: PrefixText | undefined): TextChain {
    const { prefixes } = this.#runner;
    return this.#index && prefixes && text ? textChain(text.owner, text.tokens.slice(0, -1), prefixes.unitTokens) : [];
  }

  #find(chain: TextChain): Beginning | undefined {
    const found = this.#index?.longest(chain);
    return found && { prefix: found.prefix, tokens: found.units * this.#runner.prefixes!.unitTokens };
  }

  #evictOldest(): boolean {
    if (!this.#index?.dropOldest()) return false;
    this.#evictions++;
    return true;
  }
}
