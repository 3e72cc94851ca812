export type * from "./contract.ts";
export { tableRanks } from "./cpu/delta-tables.ts";
export { openRunner } from "./open-runner.ts";
export { denseLogits } from "./step-logits.ts";
