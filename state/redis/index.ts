export { type Member, openRedisRegistry, type Registry, type RegistryDeps, type RegistryOptions } from "./registry.ts";
export { openRedisStore, type RedisStoreOptions } from "./store.ts";
