export * from "./bucket.ts";
export type * from "./contract.ts";
export { openEmbeddedStore } from "./embedded/store.ts";
export { ANSWER_BYTES_MAX, checkDuration, checkNames, LINE_BYTES_MAX, LIVE_WAIT_MS, NAME_LENGTH_MAX } from "./limits.ts";
export { type Member, openRedisRegistry, openRedisStore, type Registry } from "./redis/index.ts";
