import { describe } from "vitest";
import { redisMissing, startRedisServer } from "../../state/redis/testing/redis-server.ts";
import { openaiSuite } from "./openai-suite.ts";

const missing = redisMissing();

describe.skipIf(missing !== undefined)(missing === undefined ? "with a redis-server" : `skipped: ${missing}`, () => {
  openaiSuite("Redis", async () => {
    const server = await startRedisServer();
    return { args: ["--state", server.url], [Symbol.asyncDispose]: () => server[Symbol.asyncDispose]() };
  });
});
