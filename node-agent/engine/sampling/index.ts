export { Sampler } from "./sampler.ts";
export { needsHistory, TokenHistory } from "./token-history.ts";
