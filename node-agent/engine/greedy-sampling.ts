import type { Sampling } from "./contract.ts";

/** Always the most likely token, and nothing beside it. */
export const GREEDY: Sampling = {
  temperature: 0,
  topK: 0,
  topP: 1,
  minP: 0,
  seed: 0n,
  repetitionPenalty: 1,
  presencePenalty: 0,
  frequencyPenalty: 0,
  logitBias: new Map(),
  topLogprobs: undefined,
};
