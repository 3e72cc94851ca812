export type * from "./contract.ts";
export { decide } from "./decide.ts";
export * from "./demand/index.ts";
export * from "./eviction/index.ts";
export * from "./placement/index.ts";
