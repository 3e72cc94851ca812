export { type Compute, chooseCompute, DEFAULT_COMPUTE, PROVIDERS, type Provider, WEIGHT_FORMATS, type WeightFormat } from "./compute.ts";
export type { Engine, EngineLoad, Sampling, SequenceEvent, SequenceSpec, Slot, TokenLogprob } from "./contract.ts";
export { openEngine } from "./engine.ts";
export { EngineLoss, type LossKind } from "./engine-loss.ts";
export { DRAFT_TOKENS_MAX, draftTokensFor, type EngineOptions, engineOptions } from "./engine-options.ts";
export { GREEDY } from "./greedy-sampling.ts";
export { HAND_OVER_KEPT_BYTES, startEngineProcess } from "./process/index.ts";
export { areFilters, openRunner, type RunnerLimits, type RunnerMemory, tableRanks, weightCopies } from "./runner/index.ts";
