import type { Sampling } from "../contract.ts";

/** Which tokens a text has so far, as the penalties see it. */
export class TokenHistory {
  readonly prompt: ReadonlySet<number>;
  /** Occurrences of each token in the output. */
  readonly output = new Map<number, number>();

  constructor(promptTokens: readonly number[], outputTokens: readonly number[]) {
    this.prompt = new Set(promptTokens);
    for (const token of outputTokens) this.add(token);
  }

  add(outputToken: number): void {
    this.output.set(outputToken, (this.output.get(outputToken) ?? 0) + 1);
  }
}

/** Whether `sampling` looks at what has been said, so that a history must be kept. */
export function needsHistory(sampling: Sampling): boolean {
  return sampling.repetitionPenalty !== 1 || sampling.presencePenalty !== 0 || sampling.frequencyPenalty !== 0;
}

/**
 * Changes `logits` in place as vLLM does: first the bias, then the repetition penalty (of tokens in prompt or output,
 * each once), then frequency and presence (of tokens in the output).
 */
export function adjustLogits(logits: Float32Array, sampling: Sampling, history: TokenHistory | undefined): void {
  for (const [token, bias] of sampling.logitBias) logits[token]! += bias;
  if (!history) return;
  const { repetitionPenalty, frequencyPenalty, presencePenalty } = sampling;
  if (repetitionPenalty !== 1) {
    for (const token of history.prompt) logits[token] = repelled(logits[token]!, repetitionPenalty);
    for (const token of history.output.keys()) {
      if (!history.prompt.has(token)) logits[token] = repelled(logits[token]!, repetitionPenalty);
    }
  }
  for (const [token, occurrences] of history.output) logits[token]! -= frequencyPenalty * occurrences + presencePenalty;
}

function repelled(logit: number, penalty: number): number {
  return logit > 0 ? logit / penalty : logit * penalty;
}
