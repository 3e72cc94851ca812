import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { binary, DURABLE, type RedisServer, startRedisServer } from "./redis-server.ts";

/** A Redis Cluster of a test's own: primaries only. */
export interface RedisCluster extends AsyncDisposable {
  /** `redis-cluster://…`, with the first node only: the others are to be found. */
  readonly url: string;
  readonly servers: readonly RedisServer[];
}

/** The fewest that redis-cli makes a cluster of. */
const PRIMARIES = 3;
const CLUSTER = ["--cluster-enabled", "yes", "--cluster-node-timeout", "2000"] as const;

export async function startRedisCluster(): Promise<RedisCluster> {
  const servers: RedisServer[] = [];
  for (let primary = 0; primary < PRIMARIES; primary++) servers.push(await startRedisServer([...DURABLE, ...CLUSTER]));
  const addresses = servers.map(({ port }) => `127.0.0.1:${port}`);
  await promisify(execFile)(binary("redis-cli"), ["--cluster", "create", ...addresses, "--cluster-yes"]);
  return {
    url: `redis-cluster://${addresses[0]}`,
    servers,
    async [Symbol.asyncDispose]() {
      for (const server of servers) await server[Symbol.asyncDispose]();
    },
  };
}
