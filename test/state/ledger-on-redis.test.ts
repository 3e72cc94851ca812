import { systemClock } from "#kernel";
import { openRedisStore } from "#state";
import { describeLedger } from "../../router/ledger/testing/ledger-suite.ts";
import { describeWithRedis } from "../../state/redis/testing/describe-with-redis.ts";

let stores = 0;

/** Without a disk: thousands of ledgers are posted to, and what a disk adds is shown elsewhere. */
const IN_MEMORY = ["--appendonly", "no"] as const;

describeWithRedis(
  "over Redis",
  (server) => {
    describeLedger("the Redis store", () => openRedisStore(server().url, { clock: systemClock }, { prefix: `ledger-${stores++}:` }));
  },
  IN_MEMORY,
);
