import { createAdminKey } from "#router";
import type { StateStore } from "#state";
import type { ComponentDeps } from "../component.ts";
import { writePrivate } from "./home.ts";

/** A store without any key could never be given one: its first router makes an operator's key and leaves it in `file`, for the owner's eyes. */
export async function keepFirstKey(store: StateStore, deps: ComponentDeps, file: string): Promise<void> {
  const keys = await store.records.list("key/");
  if (keys.length > 0) return;
  const { text } = await createAdminKey(store.records, deps);
  writePrivate(file, text);
  deps.log.info({ file }, "made the first admin key");
}
