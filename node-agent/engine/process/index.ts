export { type EngineProcessDeps, type EngineProcessOptions, startEngineProcess } from "./process-engine.ts";
