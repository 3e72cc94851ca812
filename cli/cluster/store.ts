import { mkdirSync } from "node:fs";
import { dirname } from "node:path";
import { Fault, type Log, systemClock } from "#kernel";
import type { StateStore } from "#state";

/** What `--state` may be, for its help. */
export const STATE_URLS = "file:<path>, redis://[user][:password@]host[:port][/database], redis-cluster://host:port,… (rediss for TLS)";

/**
 * Opens the store that a `--state` URL names, and warns of what in its set-up could lose what it acknowledged.
 *
 * @throws Fault parameter_unsupported for another kind of URL, store_unreachable when the store does not answer
 */
export async function openStore(url: string, log?: Log): Promise<StateStore> {
  const store = await open(url, log);
  for (const weakness of store.weaknesses) log?.warn({ weakness }, "the store may lose what it acknowledged");
  return store;
}

async function open(url: string, log: Log | undefined): Promise<StateStore> {
  const { openEmbeddedStore, openRedisStore } = await import("#state"); // Here, so that other commands start without it.
  if (/^rediss?(-cluster)?:/.test(url)) return openRedisStore(url, { clock: systemClock, ...(log ? { log } : {}) });
  const file = /^file:(.+)$/.exec(url)?.[1];
  if (file === undefined) throw new Fault("parameter_unsupported", `--state must be one of ${STATE_URLS}`, { detail: { field: "state" } });
  mkdirSync(dirname(file), { recursive: true });
  return openEmbeddedStore(file, { clock: systemClock });
}
