import { afterAll, beforeAll } from "vitest";
import { describeStateStore } from "../contract-suite.ts";
import { describeUnless } from "./testing/describe-unless.ts";
import { describeWithRedis } from "./testing/describe-with-redis.ts";
import { type RedisCluster, startRedisCluster } from "./testing/redis-cluster.ts";
import { redisPlace } from "./testing/redis-place.ts";
import { redisMissing } from "./testing/redis-server.ts";

describeWithRedis("the Redis store", (server) => {
  describeStateStore("on one server", async () => redisPlace(server().url));
});

describeUnless(redisMissing(), "the Redis store", () => {
  let cluster: RedisCluster;
  beforeAll(async () => {
    cluster = await startRedisCluster();
  });
  afterAll(() => cluster?.[Symbol.asyncDispose]());

  describeStateStore("on a Redis Cluster", async () => redisPlace(cluster.url));
});
