export * from "./bucket.ts";
export type * from "./contract.ts";
export { openEmbeddedStore } from "./embedded/store.ts";
export {
  ANSWER_BYTES_MAX,
  BOOKS_MAX,
  CHANGE_BYTES_MAX,
  CHANGE_ITEMS_MAX,
  checkDuration,
  checkNames,
  DRAWS_MAX,
  LINE_BYTES_MAX,
  LIVE_WAIT_MS,
  NAME_LENGTH_MAX,
  PAGE_LINES_MAX,
} from "./limits.ts";
export {
  type Member,
  openRedisRegistry,
  openRedisStore,
  type RedisStoreOptions,
  type Registry,
  type RegistryDeps,
  type RegistryOptions,
} from "./redis/index.ts";
