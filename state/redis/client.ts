import { Cluster, Redis, type RedisOptions } from "ioredis";
import type { Millis } from "#kernel";
import type { RedisAddress } from "./address.ts";

export interface ClientOptions {
  /** A socket that owes a reply for this long is dead. */
  readonly socketMs: Millis;
  /** Certificates, in PEM, of the authorities that are trusted besides those of Node. */
  readonly ca?: string;
}

const CONNECT_MS_MAX: Millis = 2_000;
const RECONNECT_MS_MIN: Millis = 10;
const RECONNECT_MS_MAX: Millis = 1_000;

/**
 * A client that never sends anything twice by itself: a lost reply is a fault, and the caller, who knows that calling
 * again is harmless, decides. It connects when told to and reconnects for ever.
 */
export function createClient(address: RedisAddress, options: ClientOptions): Redis | Cluster {
  const shared = {
    protocol: 2,
    ...(address.username === undefined ? {} : { username: address.username }),
    ...(address.password === undefined ? {} : { password: address.password }),
    ...(address.tls ? { tls: options.ca === undefined ? {} : { ca: options.ca } } : {}),
    connectTimeout: CONNECT_MS_MAX,
    socketTimeout: options.socketMs,
    // Whatever was on its way when a connection broke fails at once.
    autoResendUnfulfilledCommands: false,
    maxRetriesPerRequest: 0,
    connectionName: "deltaplane",
    // While it loads its data, look again this often at the latest.
    maxLoadingRetryTime: RECONNECT_MS_MAX,
    // A primary that became a replica: look where the address leads now. The command fails.
    reconnectOnError: (error: Error) => error.message.startsWith("READONLY"),
  } satisfies RedisOptions;
  if (!address.cluster) {
    const [{ host, port }] = address.hosts as [RedisAddress["hosts"][number]];
    return new Redis({ ...shared, host, port, db: address.database, lazyConnect: true, enableOfflineQueue: false, retryStrategy: backOff });
  }
  return new Cluster([...address.hosts], {
    redisOptions: shared,
    lazyConnect: true,
    clusterRetryStrategy: backOff,
    retryDelayOnFailover: 0,
    retryDelayOnClusterDown: 0,
    slotsRefreshTimeout: CONNECT_MS_MAX,
  });
}

function backOff(times: number): Millis {
  return Math.min(RECONNECT_MS_MIN * 2 ** (times - 1), RECONNECT_MS_MAX);
}
