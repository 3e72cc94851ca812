import type { Millis, NanoUsd, Tokens } from "#kernel";

/** Forward 2, backward through the frozen weights 2, and what the delta, attention and optimizer add: per parameter and token. */
const OPERATIONS_PER_PARAMETER = 5;

/** What two cores of an ordinary server reach in such graphs, by order of magnitude. */
const OPERATIONS_PER_SECOND = 40e9;

/** How long training takes on two cores, by order of magnitude; `tokensPerSecond` when somebody has measured it. */
export function estimateTrainingMs(tokens: Tokens, parameterCount: number, tokensPerSecond?: number): Millis {
  const rate = tokensPerSecond ?? OPERATIONS_PER_SECOND / (OPERATIONS_PER_PARAMETER * parameterCount);
  return (tokens / rate) * 1000;
}

/** What training costs, to the nano-dollar below. `perMillion`: for a million tokens. */
export function estimateCost(tokens: Tokens, perMillion: NanoUsd): NanoUsd {
  return (BigInt(tokens) * perMillion) / 1_000_000n;
}
