import type { BlobStore } from "#blobs";
import { type Clock, DAY, every, HOUR, type Log, type Millis, toFault } from "#kernel";
import type { Records } from "#state";
import { isJobOver, recordKey } from "../catalog/index.ts";
import type { RandomSecret } from "../keys/index.ts";

export interface BlobCollectionDeps {
  readonly blobs: BlobStore;
  readonly records: Records;
  readonly clock: Clock;
  readonly log: Log;
  readonly randomSecret: RandomSecret;
}

export interface BlobCollectionOptions {
  /**
   * What was written later stays, whoever knows of it: its record may be about to be written. Long, because nothing is gained by haste: what
   * a tenant deletes goes at once.
   */
  readonly graceMs: Millis;
  readonly everyMs: Millis;
}

export const BLOB_COLLECTION: BlobCollectionOptions = { graceMs: DAY, everyMs: HOUR };

/** No upload takes longer: the slowest line that is any use brings the largest delta in this time. */
const UPLOAD_MS_MAX: Millis = HOUR;

type OwnerKind = "delta" | "file" | "job";

/** Who refers to a blob: the kind of record, and where in the blob's name its id stands. */
const OWNERS: readonly { readonly prefix: string; readonly kind: OwnerKind; readonly idPart: number }[] = [
  { prefix: "deltas/", kind: "delta", idPart: 1 },
  { prefix: "files/", kind: "file", idPart: 2 },
  { prefix: "checkpoints/", kind: "job", idPart: 1 },
];

/** What the store and the records must both say, or they are not each other's. */
const OWNER_BLOB = "owner/cluster";
const OWNER_RECORD = "blobs/owner";
const OWNER_CHARACTERS = 16;

/** Removes from time to time what a crash left without a record. Dispose it to end that. */
export function startBlobCollection(deps: BlobCollectionDeps, options: BlobCollectionOptions): AsyncDisposable {
  const stopping = new AbortController();
  const { signal } = stopping;
  const tidily = (work: () => Promise<void>) =>
    work().catch((error: unknown) => {
      if (!signal.aborted) deps.log.warn({ err: toFault(error) }, "blobs that no record knows could not be removed; it is tried again");
    });
  const removeUnfinished = () => deps.blobs.removeUnfinished(deps.clock.now() - UPLOAD_MS_MAX, signal);
  const collect = async () => {
    await removeUnfinished();
    const removed = await collectBlobs(deps, deps.clock.now() - options.graceMs, signal);
    if (removed.length > 0) deps.log.info({ blobs: removed.length }, "removed blobs that no record knows");
  };
  // At a start only what the last life left half; the rest has time.
  const collected = tidily(removeUnfinished).then(() => every(deps.clock, options.everyMs, signal, () => tidily(collect)));
  return {
    async [Symbol.asyncDispose]() {
      stopping.abort();
      await collected;
    },
  };
}

/**
 * Removes what was written before `before` and no record refers to, and gives the names. The records are asked themselves,
 * one by one, not a view of them: what is referenced must never go. Nothing goes from a store that has served other records.
 */
export async function collectBlobs(deps: BlobCollectionDeps, before: Millis, signal?: AbortSignal): Promise<readonly string[]> {
  const { blobs, log } = deps;
  if (!(await isOurs(deps))) {
    log.warn({ blobs: blobs.url }, "the blobs are another cluster's, or our records were lost: nothing is removed");
    return [];
  }
  const removed: string[] = [];
  for (const { prefix, kind, idPart } of OWNERS) {
    for await (const { name, writtenAt } of blobs.list(prefix, signal)) {
      signal?.throwIfAborted();
      if (writtenAt >= before || (await isReferenced(deps.records, kind, name.split("/")[idPart] ?? ""))) continue;
      // It may have been written anew since it was listed, by an upload of the same content.
      const now = await blobs.find(name, signal);
      if (!now || now.writtenAt >= before) continue;
      await blobs.remove(name);
      removed.push(name);
    }
  }
  return removed;
}

async function isReferenced(records: Records, kind: OwnerKind, id: string): Promise<boolean> {
  const record = await records.get(recordKey(kind, id));
  return record !== undefined && (kind !== "job" || !isJobOver(record.value as { readonly state: string }));
}

/** Both marks are made when there is neither; a store that is new gets ours. */
async function isOurs({ blobs, records, randomSecret }: BlobCollectionDeps): Promise<boolean> {
  const stored = await readOwner(blobs);
  const known = (await records.get(OWNER_RECORD))?.value;
  if (stored !== undefined) return stored === known;
  const owner = typeof known === "string" ? known : randomSecret(OWNER_CHARACTERS / 2).toString("hex");
  if (known === undefined && (await records.putIf(OWNER_RECORD, owner, undefined)).kind !== "put") return false; // Another router is first; next time.
  await using mark = await blobs.receive(OWNER_BLOB, OWNER_CHARACTERS);
  await mark.append(Buffer.from(owner));
  await mark.keep(OWNER_BLOB);
  return true;
}

async function readOwner(blobs: BlobStore): Promise<string | undefined> {
  if (!(await blobs.find(OWNER_BLOB))) return undefined;
  return Buffer.concat(await Array.fromAsync(blobs.read(OWNER_BLOB, undefined, new AbortController().signal))).toString();
}
