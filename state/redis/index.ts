export { openRedisStore, type RedisStoreOptions } from "./store.ts";
