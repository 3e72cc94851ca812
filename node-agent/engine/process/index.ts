export { HAND_OVER_KEPT_BYTES } from "./hand-over-file.ts";
export { type EngineProcessDeps, type EngineProcessOptions, startEngineProcess } from "./process-engine.ts";
