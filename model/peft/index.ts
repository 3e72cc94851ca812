export { type DeltaInspection, inspectDelta, loadDelta } from "./load-delta.ts";
export { type DeltaSettings, deltaSites, saveDelta } from "./new-delta.ts";
export { RANK_MAX } from "./peft-config.ts";
