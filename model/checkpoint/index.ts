export type * from "./contract.ts";
export { openCheckpoint } from "./open-checkpoint.ts";
export { saveCheckpoint } from "./save-checkpoint.ts";
