export type * from "./contract.ts";
export { openRunner, type RunnerOptions } from "./open-runner.ts";
