export type { Engine, EngineLoad, Sampling, SequenceEvent, SequenceSpec, Slot, TokenLogprob } from "./contract.ts";
export { type EngineDeps, openEngine } from "./engine.ts";
export type { EngineOptions } from "./engine-options.ts";
export { type EngineProcessDeps, type EngineProcessOptions, startEngineProcess } from "./process/index.ts";
export type { Runner, RunnerLimits, RunnerOptions } from "./runner/index.ts";
