import type { Clock, Log } from "#kernel";
import type { StateStore } from "../contract.ts";
import { parseRedisUrl } from "./address.ts";
import { RedisAnswers } from "./answers.ts";
import { type ConnectionOptions, RedisConnection } from "./connection.ts";
import { checkServer, type Durability } from "./durability.ts";
import { DISK_MS_MAX, DurableCalls } from "./durable-calls.ts";
import { type Durably, RedisJournal } from "./journal.ts";
import { checkPrefix, DEFAULT_PREFIX, RedisKeys } from "./keys.ts";
import { RedisLeases } from "./leases.ts";
import { RedisMeters } from "./meters.ts";
import { RedisRecords } from "./records.ts";
import { loadScripts } from "./scripts.ts";
import { SERVER_TIME, type StoreTime } from "./store-time.ts";

export interface RedisStoreOptions extends ConnectionOptions {
  /** Of all keys, so that several clusters can share a Redis. Default `deltaplane:`. Without braces. */
  readonly prefix?: string;
  /** Instead of the server's own time; for tests. */
  readonly time?: StoreTime;
}

/**
 * The store of a cluster with several routers: a Redis of 6.2 or later, or a Redis Cluster. {@link parseRedisUrl} says
 * what `url` may be.
 *
 * @throws Fault parameter_invalid for a URL that is none, parameter_unsupported when the server is too old,
 * store_unreachable when it does not answer in time or takes no writes
 */
export async function openRedisStore(
  url: string,
  deps: { readonly clock: Clock; readonly log?: Log },
  options: RedisStoreOptions = {},
): Promise<StateStore> {
  const keys = new RedisKeys(checkPrefix(options.prefix ?? DEFAULT_PREFIX));
  const time = options.time ?? SERVER_TIME;
  await using parts = new AsyncDisposableStack();
  const connection = parts.use(new RedisConnection({ ...deps, scripts: await loadScripts() }, parseRedisUrl(url), options));
  await connection.open();
  const durability = await checkServer(connection, keys);
  const durably = await durableCalls(connection, durability, parts);
  const records = new RedisRecords(connection, keys, deps);
  parts.defer(() => records.close());
  const owned = parts.move();
  let closing: Promise<void> | undefined;
  return {
    records,
    journal: new RedisJournal(connection, keys, durably),
    meters: new RedisMeters(connection, keys, time),
    leases: new RedisLeases(connection, keys, time),
    answers: new RedisAnswers(connection, keys, time),
    weaknesses: durability.weaknesses,
    [Symbol.asyncDispose]() {
      closing ??= owned.disposeAsync();
      return closing;
    },
  };
}

/** With a server that acknowledges only what is on disk, or that cannot be asked, the reply is all there is to wait for. */
async function durableCalls(connection: RedisConnection, { waits }: Durability, parts: AsyncDisposableStack): Promise<Durably> {
  if (!waits) return (call) => call(connection);
  const own = connection.another({ callMs: 2 * DISK_MS_MAX });
  const calls = parts.use(new DurableCalls(own));
  await own.open();
  return (call) => calls.run(call);
}
