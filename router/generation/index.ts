export type { PlacementAsk } from "../admission/index.ts";
export { Dispatcher } from "./dispatcher.ts";
export { createInferenceCore } from "./inference-core.ts";
