/** One text to learn from, as tokens. */
export interface Example {
  readonly tokenIds: readonly number[];
  /** What each token counts in the loss, as something to be predicted from those before it; the first is never predicted. */
  readonly weights: readonly number[];
}

/** How many tokens of an example are learned. */
export function learnedTokens({ weights }: Example): number {
  return weights.reduce((count, weight, index) => count + (index > 0 && weight !== 0 ? 1 : 0), 0);
}
