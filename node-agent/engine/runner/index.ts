export type * from "./contract.ts";
export { tableRanks } from "./delta-tables.ts";
export { openRunner, type RunnerOptions } from "./open-runner.ts";
