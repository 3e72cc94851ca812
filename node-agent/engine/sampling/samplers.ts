import { Sampler } from "./sampler.ts";
import { TopSampler } from "./top-sampling.ts";

/** What chooses tokens, for one vocabulary: from all logits, or from the largest. */
export interface Samplers {
  readonly all: Sampler;
  readonly top: TopSampler;
  readonly vocabularySize: number;
}

export function createSamplers(vocabularySize: number): Samplers {
  return { all: new Sampler(vocabularySize), top: new TopSampler(vocabularySize), vocabularySize };
}
