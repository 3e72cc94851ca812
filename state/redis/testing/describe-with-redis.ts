import { afterAll, beforeAll } from "vitest";
import { describeUnless } from "./describe-unless.ts";
import { type RedisServer, redisMissing, startRedisServer } from "./redis-server.ts";

/** Tests that share one redis-server of their own; skipped, with the reason, where there is none. */
export function describeWithRedis(name: string, tests: (server: () => RedisServer) => void, options?: readonly string[]): void {
  describeUnless(redisMissing(), name, () => {
    let server: RedisServer;
    beforeAll(async () => {
      server = await startRedisServer(options);
    });
    afterAll(() => server?.[Symbol.asyncDispose]());
    tests(() => server);
  });
}
