export { type Arrival, type DeltaOrigin, type DeltaSlots, openDeltaCache, openDeltaLoader, RAM_BYTES_MAX } from "./delta-cache/index.ts";
export {
  type Compute,
  chooseCompute,
  DEFAULT_COMPUTE,
  DRAFT_TOKENS_MAX,
  type Engine,
  type EngineOptions,
  GREEDY,
  openEngine,
  openRunner,
  PROVIDERS,
  type Provider,
  type RunnerLimits,
  type RunnerMemory,
  type Sampling,
  type SequenceEvent,
  type SequenceSpec,
  type Slot,
  startEngineProcess,
  type TokenLogprob,
  tableRanks,
  WEIGHT_FORMATS,
  type WeightFormat,
} from "./engine/index.ts";
export { foreseeMemory, handOverTerms, type MemoryRoom, nodeTerms, sumOf } from "./memory-budget.ts";
export { startNodeAgent } from "./node-agent.ts";
