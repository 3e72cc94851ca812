export type { Sampler } from "./sampler.ts";
export { createSamplers, type Samplers } from "./samplers.ts";
export { needsHistory, TokenHistory } from "./token-history.ts";
export { asksForTop } from "./top-sampling.ts";
