import { assert, type Bytes, type Tokens } from "#kernel";
import type { Beginning, Prefix, PrefixKeeper, Row } from "../runner/contract.ts";

/** What a toy row has computed, and by what the delta shifted it; undefined before its first step. */
export interface ToyContext {
  readonly tokens: number[];
  readonly tokensMax: Tokens;
  shift: number | undefined;
}

/** Keeps copies of contexts, and checks that they are used as the contract says. */
export class ToyPrefixes implements PrefixKeeper {
  readonly unitTokens: Tokens;
  /** Every prefix that was kept and is not forgotten. */
  readonly kept = new Map<Prefix, Pick<ToyContext, "tokens" | "shift">>();
  readonly #contexts: ReadonlyMap<Row, ToyContext>;
  #count = 0;

  constructor(unitTokens: Tokens, contexts: ReadonlyMap<Row, ToyContext>) {
    this.unitTokens = unitTokens;
    this.#contexts = contexts;
  }

  get keptTokens(): Tokens {
    const units = new Set<string>();
    for (const { tokens, shift } of this.kept.values()) {
      for (let end = this.unitTokens; end <= tokens.length; end += this.unitTokens) units.add(`${shift}:${tokens.slice(0, end)}`);
    }
    return units.size * this.unitTokens;
  }

  get keptBytes(): Bytes {
    return this.keptTokens * 16;
  }

  keep(row: Row, tokens: Tokens, shared?: Beginning): Prefix {
    const context = this.#contexts.get(row);
    assert(context && tokens > 0 && tokens % this.unitTokens === 0 && tokens <= context.tokens.length, "whole units of an open row");
    const common = shared ? this.begin(shared) : undefined;
    assert(!common || common.tokens.join() === context.tokens.slice(0, common.tokens.length).join(), "what is shared is the same text");
    assert(!common || common.shift === context.shift, "what is shared was computed by the same delta");
    const prefix: Prefix = this.#count++;
    this.kept.set(prefix, { tokens: context.tokens.slice(0, tokens), shift: context.shift });
    return prefix;
  }

  forget(prefix: Prefix): void {
    assert(this.kept.delete(prefix), "forget of nothing");
  }

  copy(from: Row, to: Row, tokens: Tokens): void {
    const [source, target] = [this.#contexts.get(from), this.#contexts.get(to)];
    assert(
      source && target && tokens % this.unitTokens === 0 && tokens <= source.tokens.length,
      "whole units of an open row, for an open row",
    );
    assert(tokens > target.tokens.length && tokens <= target.tokensMax, "a row gets more than it has, and what it reserved");
    assert(
      target.tokens.every((token, index) => token === source.tokens[index]),
      "what is copied is the same text",
    );
    assert(target.shift === undefined || target.shift === source.shift, "what is copied was computed by the same delta");
    target.tokens.splice(0, target.tokens.length, ...source.tokens.slice(0, tokens));
    target.shift = source.shift;
  }

  /** What a row has that begins there. */
  begin({ prefix, tokens }: Beginning): Pick<ToyContext, "tokens" | "shift"> {
    const kept = this.kept.get(prefix);
    assert(kept && tokens > 0 && tokens % this.unitTokens === 0 && tokens <= kept.tokens.length, "a beginning of what is kept");
    return { tokens: kept.tokens.slice(0, tokens), shift: kept.shift };
  }
}
