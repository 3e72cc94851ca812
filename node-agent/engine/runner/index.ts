export type * from "./contract.ts";
export { tableRanks } from "./cpu/delta-tables.ts";
export { areFilters } from "./cpu/linear-format.ts";
export { weightCopies } from "./cpu/weight-copies.ts";
export { openRunner } from "./open-runner.ts";
export { denseLogits } from "./step-logits.ts";
