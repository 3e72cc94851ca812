import { Fault } from "#kernel";
import type { RedisConnection } from "./connection.ts";
import type { RedisKeys } from "./keys.ts";
import { unreachable } from "./redis-fault.ts";

/** What the server's settings mean for what it acknowledges. */
export interface Durability {
  /** One sentence each. */
  readonly weaknesses: readonly string[];
  /** Whether a write is on disk only some time after its reply, and WAITAOF can be asked to wait for it. */
  readonly waits: boolean;
}

/** The first with XRANGE's and ZRANGE's present form. */
const VERSION_MIN = [6, 2] as const;
/** The first with WAITAOF. */
const WAITAOF_VERSION = [7, 2] as const;

type Fields = ReadonlyMap<string, string>;

/**
 * Looks at every primary, then writes and reads. @throws Fault parameter_unsupported when the server is too old,
 * parameter_invalid when the URL is of the wrong kind, store_unreachable when it does not take writes
 */
export async function checkServer(connection: RedisConnection, keys: RedisKeys): Promise<Durability> {
  const infos = (await connection.onEachPrimary("INFO")).map(infoFields);
  for (const info of infos) checkInfo(connection, info);
  const echo = "deltaplane";
  const read = await connection.run("self-check", [keys.check], [echo]);
  if (read !== echo) throw unreachable(connection.server, `it was asked to keep "${echo}" and gave "${String(read)}"`);
  const configs = await configurations(connection);
  const waits = configs.every((config, index) => waitsForDisk(config, infos[index]!));
  return { weaknesses: [...new Set(configs.flatMap((config, index) => weaknessesOf(config, infos[index]!, waits)))], waits };
}

function checkInfo({ server, clustered }: RedisConnection, info: Fields): void {
  const version = info.get("redis_version") ?? "";
  if (!isAtLeast(version, VERSION_MIN))
    throw new Fault("parameter_unsupported", `${server} is Redis ${version}; ${VERSION_MIN.join(".")} or later is needed`, {
      detail: { field: "state" },
    });
  if (info.get("role") === "slave") throw unreachable(server, "it is a replica, which takes no writes; name the primary");
  if (info.get("cluster_enabled") === "1" && !clustered)
    throw new Fault("parameter_invalid", `${server} is a node of a Redis Cluster: name it as redis-cluster://`, {
      detail: { field: "state" },
    });
}

/** One per primary; undefined where CONFIG is forbidden. */
async function configurations(connection: RedisConnection): Promise<readonly (Fields | undefined)[]> {
  const names = ["appendonly", "appendfsync", "no-appendfsync-on-rewrite", "maxmemory-policy"];
  const found: Map<string, string>[] = [];
  for (const name of names) {
    let replies: readonly unknown[];
    try {
      replies = await connection.onEachPrimary("CONFIG", "GET", name);
    } catch {
      return (await connection.onEachPrimary("PING")).map(() => undefined); // Hosted Redis often forbids CONFIG: no reason not to start.
    }
    for (const [index, reply] of replies.entries()) {
      const [key, value] = reply as [string, string];
      found[index] = (found[index] ?? new Map()).set(key, value);
    }
  }
  return found;
}

function waitsForDisk(config: Fields | undefined, info: Fields): boolean {
  const has = isAtLeast(info.get("redis_version") ?? "", WAITAOF_VERSION);
  return has && config?.get("appendonly") === "yes" && config.get("appendfsync") !== "always";
}

function weaknessesOf(config: Fields | undefined, info: Fields, waits: boolean): readonly string[] {
  const weaknesses: string[] = [];
  if (!config) weaknesses.push("CONFIG is forbidden: whether Redis writes to disk before it acknowledges is not known.");
  else {
    if (config.get("appendonly") !== "yes")
      weaknesses.push("appendonly is off: a restart of Redis loses what came after its last snapshot.");
    else if (config.get("appendfsync") !== "always")
      weaknesses.push(`appendfsync is ${config.get("appendfsync")}: ${lossOf(config, waits, info)}`);
    if (config.get("appendonly") === "yes" && config.get("no-appendfsync-on-rewrite") === "yes")
      weaknesses.push("no-appendfsync-on-rewrite is on: while the log is rewritten, a power cut loses what was acknowledged meanwhile.");
    if (config.get("maxmemory-policy") !== "noeviction")
      weaknesses.push(
        `maxmemory-policy is ${config.get("maxmemory-policy")}: when memory is full, Redis throws keys away; set noeviction.`,
      );
  }
  if (info.get("connected_slaves") !== "0")
    weaknesses.push("Redis has replicas: a failover to one may lose writes that were acknowledged just before.");
  return weaknesses;
}

function lossOf(config: Fields, waits: boolean, info: Fields): string {
  const loss = `a power cut loses ${config.get("appendfsync") === "no" ? "what the system had not yet written" : "the last second or two"}`;
  if (!waits) return `${loss}.`;
  if (answersEarly(info)) return `${loss}, and this version may say too early that a commit of the journal is on disk (redis#13793).`;
  return `${loss}, except for commits of the journal, which wait for the disk.`;
}

/** WAITAOF of these returns before the sync: Redis from 7.4.0 to 7.4.2, and Valkey from 8.0, of which no fix is known to us. */
function answersEarly(info: Fields): boolean {
  return /^7\.4\.[0-2]$/.test(info.get("redis_version") ?? "") || isAtLeast(info.get("valkey_version") ?? "", [8, 0]);
}

function infoFields(reply: unknown): Fields {
  const lines = String(reply).split("\r\n");
  return new Map(
    lines.flatMap((line) => (line.includes(":") ? [[line.slice(0, line.indexOf(":")), line.slice(line.indexOf(":") + 1)]] : [])),
  );
}

function isAtLeast(version: string, [major, minor]: readonly [number, number]): boolean {
  const [ownMajor = 0, ownMinor = 0] = version.split(".").map(Number);
  return ownMajor > major || (ownMajor === major && ownMinor >= minor);
}
