import type { Tokens } from "#kernel";

/** How a text may go on, and how sure that looks. */
export interface Continuation {
  readonly tokens: readonly number[];
  /** How many of the text's last tokens stood before `tokens` where they were found: one or more. */
  readonly matchedTokens: Tokens;
}

/** A place in a text up to which it is as it is at its end. */
interface Match {
  readonly place: number;
  readonly matchedTokens: Tokens;
}

/** Occurrences that are compared in one search, the latest first; so many keep a search below a hundredth of any step. */
const OCCURRENCES_MAX = 16;
/** A longer match says no more. */
const MATCHED_TOKENS_MAX = 8;

/**
 * Prompt lookup (Saxena 2023; the speculator `ngram` of vLLM): where the end of a text has stood before in the same text, what came
 * after it may come again. Finds the place with the longest common end, of equal ones the latest.
 *
 * Its index grows with the text, so that a search costs the same however long the text is.
 */
export class TextLookup {
  /** By token, and by pair: where it occurred last, a pair as the place of its second token. */
  readonly #latestTokens = new Map<number, number>();
  readonly #latestPairs = new Map<number, number>();
  /** By place: where the pair that ends there occurred before that. */
  readonly #earlierPairs: (number | undefined)[] = [];

  /**
   * At most `most` tokens; undefined where the last token is new to the text. `text` is the one of the last call, or what that has
   * grown to.
   */
  continue(text: readonly number[], most: Tokens): Continuation | undefined {
    this.#follow(text);
    const found = most > 0 && this.#longestMatch(text);
    if (!found) return undefined;
    const tokens: number[] = [];
    // Where the place found is so near that the text ends first, it goes on with what has just been copied: a loop.
    for (let place = found.place + 1; tokens.length < most; place++) tokens.push(text[place] ?? tokens[place - text.length]!);
    return { tokens, matchedTokens: found.matchedTokens };
  }

  /** All but the last place, which is what is looked for. */
  #follow(text: readonly number[]): void {
    for (let place = this.#earlierPairs.length; place < text.length - 1; place++) {
      const pair = pairAt(text, place);
      this.#earlierPairs.push(this.#latestPairs.get(pair));
      this.#latestPairs.set(pair, place);
      this.#latestTokens.set(text[place]!, place);
    }
  }

  #longestMatch(text: readonly number[]): Match | undefined {
    let best: Match | undefined;
    let place = this.#latestPairs.get(pairAt(text, text.length - 1));
    for (let seen = 0; place !== undefined && seen < OCCURRENCES_MAX; seen++) {
      const matchedTokens = commonEnd(text, place);
      if (matchedTokens > (best?.matchedTokens ?? 0)) best = { place, matchedTokens };
      if (matchedTokens === MATCHED_TOKENS_MAX) break;
      place = this.#earlierPairs[place];
    }
    const token = this.#latestTokens.get(text.at(-1)!);
    return best ?? (token === undefined ? undefined : { place: token, matchedTokens: 1 });
  }
}

/** More than any vocabulary has. */
const VOCABULARY_MAX = 2 ** 26;

/** The token at `place` and the one before it, if any, as one number. */
function pairAt(text: readonly number[], place: number): number {
  return (place < 1 ? VOCABULARY_MAX - 1 : text[place - 1]!) * VOCABULARY_MAX + text[place]!;
}

/** How many tokens up to `place` are those at the end of `text`. */
function commonEnd(text: readonly number[], place: number): Tokens {
  let count = 0;
  while (count < MATCHED_TOKENS_MAX && count <= place && text[place - count] === text[text.length - 1 - count]) count++;
  return count;
}
