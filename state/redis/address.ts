import { Fault, type HostPort, parseAddress } from "#kernel";

/** Where a Redis is, and how to sign in. */
export interface RedisAddress {
  readonly cluster: boolean;
  readonly tls: boolean;
  /** One, or the nodes of a cluster that are asked for the others. */
  readonly hosts: readonly HostPort[];
  readonly username?: string;
  readonly password?: string;
  /** Always 0 in a cluster. */
  readonly database: number;
  /** For messages: without the password. */
  readonly text: string;
}

const PORT = "6379";
const URL_SHAPE = /^(rediss?)(-cluster)?:\/\/(?:([^:@/]*)(?::([^@/]*))?@)?([^@/?#]+)(?:\/(\d{0,5}))?$/;

/**
 * Reads `redis://[user][:password@]host[:port][/database]`; `rediss://` is the same over TLS, and `redis-cluster://` and
 * `rediss-cluster://` name one or more nodes of a Redis Cluster, separated by commas. User and password are
 * percent-encoded.
 *
 * @param field in the fault: what the URL was given as
 * @throws Fault parameter_invalid; the message leaves the password out
 */
export function parseRedisUrl(url: string, field = "state"): RedisAddress {
  const malformed = (why: string) => new Fault("parameter_invalid", `the URL of the Redis is malformed: ${why}`, { detail: { field } });
  const decoded = (text: string) => {
    try {
      return decodeURIComponent(text);
    } catch {
      throw malformed("user and password must be percent-encoded"); // The cause would show the password.
    }
  };
  const [, scheme, cluster, username, password, hosts, database] = URL_SHAPE.exec(url) ?? [];
  if (scheme === undefined || hosts === undefined) throw malformed("it must look like redis://[user][:password@]host[:port][/database]");
  const list = hosts.split(",");
  if (!cluster && list.length > 1) throw malformed("only redis-cluster:// takes several hosts");
  if (cluster && database) throw malformed("a Redis Cluster has one database: leave its number out");
  return {
    cluster: cluster !== undefined,
    tls: scheme === "rediss",
    hosts: list.map((host) => parseAddress(/:\d+$/.test(host) ? host : `${host}:${PORT}`, field)),
    ...(username ? { username: decoded(username) } : {}),
    ...(password ? { password: decoded(password) } : {}),
    database: Number(database || 0),
    text: `${scheme}${cluster ?? ""}://${hosts}`,
  };
}
