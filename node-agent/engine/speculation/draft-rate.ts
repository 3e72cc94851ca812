import type { Tokens } from "#kernel";

/** A token that was tried weighs so much against all before: a rate follows the last eight or so. */
const TRIED_WEIGHT = 1 / 8;
/** Where something could be tried and is not, rates return so far to what they were at first: sooner or later one more is tried. */
const RETURN_WEIGHT = 1 / 256;
/** From this place of a draft on, all are taken to be alike. */
const PLACES = 3;

/** How likely the tokens of drafts of one kind are right, each given that those before it were, from how many were. */
export class DraftRate {
  readonly #atFirst: number;
  /** By place: the first token of a draft, the second, any later one. A copied phrase ends where it ends. */
  readonly #rates: number[];

  constructor(atFirst: number) {
    this.#atFirst = atFirst;
    this.#rates = new Array<number>(PLACES).fill(atFirst);
  }

  /** Of the token at `place`, counted from 0. */
  at(place: number): number {
    return this.#rates[Math.min(place, PLACES - 1)]!;
  }

  /** Of `tried` tokens the first `accepted` were right. The next was wrong; of those after it nothing is known. */
  learn(tried: Tokens, accepted: Tokens): void {
    for (let place = 0; place < Math.min(tried, accepted + 1); place++) {
      this.#move(place, TRIED_WEIGHT, place < accepted ? 1 : 0);
    }
  }

  /** There was a draft, and it was not tried. */
  spare(): void {
    for (let place = 0; place < PLACES; place++) this.#move(place, RETURN_WEIGHT, this.#atFirst);
  }

  #move(place: number, weight: number, towards: number): void {
    const rate = this.at(place);
    this.#rates[Math.min(place, PLACES - 1)] = rate + weight * (towards - rate);
  }
}

/** What is believed of drafts at first, by how many tokens stood before them where they were found: one, two, or more. */
const RATES_AT_FIRST = [0.2, 0.4, 0.6] as const;

/** The rates of texts that are alike: short matches say little and long ones much, and how much depends on what the texts are. */
export class DraftRates {
  readonly #rates = RATES_AT_FIRST.map((atFirst) => new DraftRate(atFirst));

  after(matchedTokens: Tokens): DraftRate {
    return this.#rates[Math.min(matchedTokens, this.#rates.length) - 1]!;
  }
}
