import type { Tokens } from "#kernel";
import type { DraftRate } from "./draft-rate.ts";

/** Tokens that may come next in a row. */
export interface Draft {
  readonly tokens: readonly number[];
  /** How likely its tokens are right. */
  readonly kind: Pick<DraftRate, "at">;
}

/** How much may be tried. */
export interface DraftBudget {
  /** Of one row in one step; 0 is off. */
  readonly draftTokensMax: Tokens;
  /** Of all decoding rows in one step, what they compute anyway included. */
  readonly decodeTokensMax: Tokens;
}

/**
 * What each token more costs, as a share of a step: reading the weights is paid for already, its products are not. Measured on two
 * cores with one to four rows: 0.03 to 0.09 in float32, 0 to 0.07 in int8, where small nodes are most of a step.
 */
const TOKEN_COST = 0.08;

/** How much each of so many decoding rows may try. 0: not even worth a search. */
export function draftTokensMost(rowCount: number, { draftTokensMax, decodeTokensMax }: DraftBudget): Tokens {
  return rowCount === 0 ? 0 : Math.max(0, Math.min(draftTokensMax, Math.floor(decodeTokensMax / rowCount) - 1));
}

/**
 * How many tokens of each draft to try in a step of `rowCount` decoding rows, so that most tokens are to be expected of a unit of time.
 * All rows compute as many as the longest of them: what some try must be worth what all compute.
 */
export function draftDepth(drafts: readonly Draft[], rowCount: number): Tokens {
  const longest = Math.max(0, ...drafts.map(({ tokens }) => tokens.length));
  let best = { depth: 0, pace: rowCount };
  let expected = rowCount;
  const chances = drafts.map(() => 1); // That all of a draft up to the present depth are right.
  for (let depth = 1; depth <= longest; depth++) {
    for (const [index, { tokens, kind }] of drafts.entries()) {
      chances[index]! *= tokens.length < depth ? 0 : kind.at(depth - 1);
      expected += chances[index]!;
    }
    const pace = expected / (1 + TOKEN_COST * depth * rowCount);
    if (pace > best.pace) best = { depth, pace };
  }
  return best.depth;
}
