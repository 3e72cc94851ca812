import { systemClock } from "#kernel";
import { describeLedger } from "../../router/ledger/testing/ledger-suite.ts";
import { openRedisStore } from "../../state/redis/index.ts";
import { describeWithRedis } from "../../state/redis/testing/describe-with-redis.ts";

let stores = 0;

// The server syncs when it likes: durability is the store's own test's business.
describeWithRedis(
  "with a Redis",
  (server) => {
    describeLedger("Redis", () => openRedisStore(server().url, { clock: systemClock }, { prefix: `ledger-${stores++}:` }));
  },
  ["--appendonly", "no"],
);
