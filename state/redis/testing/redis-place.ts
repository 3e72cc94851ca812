import { systemClock, VirtualClock } from "#kernel";
import type { StorePlace } from "../../contract-suite.ts";
import { openRedisStore, type RedisStoreOptions } from "../store.ts";

let places = 0;

/** A store of its own in a Redis that others use too, by a virtual clock. */
export function redisPlace(url: string, options: RedisStoreOptions = {}): StorePlace {
  const clock = new VirtualClock();
  const prefix = `test-${places++}:`;
  return {
    open: () => openRedisStore(url, { clock: systemClock }, { prefix, time: () => clock.now(), ...options }),
    clock,
    remove: async () => undefined, // The server goes as a whole.
  };
}
