export type { EngineFactory } from "./base-host.ts";
export {
  type Arrival,
  type DeltaCache,
  type DeltaCacheOptions,
  type DeltaLease,
  type DeltaOrigin,
  type DeltaSlots,
  openDeltaCache,
  openDeltaLoader,
} from "./delta-cache/index.ts";
export {
  type Compute,
  chooseCompute,
  DEFAULT_COMPUTE,
  PROVIDERS,
  type Provider,
  WEIGHT_FORMATS,
  type WeightFormat,
} from "./engine/compute.ts";
export type { Engine, EngineLoad, Sampling, SequenceEvent, SequenceSpec, Slot, TokenLogprob } from "./engine/contract.ts";
export { type EngineDeps, openEngine } from "./engine/engine.ts";
export { DRAFT_TOKENS_MAX, type EngineOptions } from "./engine/engine-options.ts";
export { GREEDY } from "./engine/greedy-sampling.ts";
export { type EngineProcessDeps, type EngineProcessOptions, startEngineProcess } from "./engine/process/index.ts";
export { tableRanks } from "./engine/runner/cpu/delta-tables.ts";
export { openRunner, type RunnerLimits, type RunnerMemory } from "./engine/runner/index.ts";
export { type EngineBudget, engineLimits } from "./engine-limits.ts";
export { foreseeMemory, MemoryLedger, type MemoryRoom, sumOf } from "./memory-budget.ts";
export { type NodeAgentDeps, type NodeAgentOptions, type RunningNodeAgent, startNodeAgent } from "./node-agent.ts";
