import { mkdirSync } from "node:fs";
import { dirname } from "node:path";
import { Fault } from "#kernel";
import { openEmbeddedStore, type StateStore } from "#state";

/** Opens the store that a `--state` URL names. */
export async function openStore(url: string): Promise<StateStore> {
  const file = /^file:(.+)$/.exec(url)?.[1];
  if (file === undefined) {
    throw new Fault("parameter_unsupported", `--state ${url}: only file:<path> is supported`, { detail: { field: "state" } });
  }
  mkdirSync(dirname(file), { recursive: true });
  return openEmbeddedStore(file);
}
