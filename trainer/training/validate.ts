import type { Tokens } from "#kernel";
import { packBatch } from "./batches.ts";
import { learnedTokens } from "./example.ts";
import type { GradientSession, ParameterValues } from "./gradient-session.ts";
import type { PackedExamples } from "./packed-examples.ts";

export interface Score {
  /** Mean over the learned tokens, by their weights; natural logarithm. */
  readonly loss: number;
  /** Share of learned tokens that were the most likely one. */
  readonly accuracy: number;
}

/** How well held-out examples are predicted. */
export async function validate(
  session: GradientSession,
  values: ParameterValues,
  examples: PackedExamples,
  microbatchTokensMax: Tokens,
): Promise<Score> {
  let loss = 0;
  let hits = 0;
  let learned = 0;
  const all = [...examples];
  for (const part of packBatch(all, microbatchTokensMax)) {
    const scored = await session.score(part, values);
    loss += scored.loss;
    hits += scored.hits;
  }
  for (const example of all) learned += learnedTokens(example);
  return { loss, accuracy: hits / learned };
}
