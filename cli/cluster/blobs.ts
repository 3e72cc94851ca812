import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { type BaseFolders, type BlobStore, createBlobMetrics, openBaseFolders, openBlobStore } from "#blobs";
import type { ComponentDeps } from "../component.ts";

/** Names of temporary files: as many as there will ever be need no luck. */
const NAME_BYTES = 16;

/** The store of deltas, files and checkpoints; what is on its way there lies in `directory`. */
export function openBlobs(deps: ComponentDeps, url: string, directory: string): Promise<BlobStore> {
  return openBlobStore(blobDeps(deps), url, { spoolDirectory: join(directory, "spool") });
}

/** Bases on this machine; what comes from a bucket is copied into `cacheDirectory`. */
export function openBases(deps: ComponentDeps, cacheDirectory: string): BaseFolders {
  const shared = blobDeps(deps);
  const spoolDirectory = join(cacheDirectory, "spool");
  return openBaseFolders(
    { log: deps.log, openStore: (url) => openBlobStore(shared, url, { spoolDirectory }) },
    join(cacheDirectory, "bases"),
  );
}

/** Opens buckets to read from. */
export function bucketOpener(deps: ComponentDeps): (url: string) => Promise<BlobStore> {
  const shared = blobDeps(deps);
  return (url) => openBlobStore(shared, url, { spoolDirectory: join(tmpdir(), "deltaplane-spool") });
}

/** `NAME=DIR` or `NAME=s3://…`, as flags have it. */
export function parseBase(text: string): { readonly name: string; readonly directory: string } {
  const [, name, location] = /^([^=]+)=(.+)$/.exec(text)!;
  return { name: name!, directory: baseLocation(location!) };
}

/** A folder becomes absolute, a URL stays as it is. */
export function baseLocation(text: string): string {
  return text.startsWith("s3:") ? text : resolve(text);
}

function blobDeps({ clock, random, randomSecret, registry }: ComponentDeps) {
  return { clock, random, newName: () => randomSecret(NAME_BYTES).toString("hex"), observer: createBlobMetrics(registry) };
}
