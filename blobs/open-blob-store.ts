import { Fault } from "#kernel";
import type { BlobStore } from "./contract.ts";
import { openFolderStore } from "./folder/index.ts";
import type { S3Retries, S3StoreDeps, S3UploadLimits } from "./s3/index.ts";

export interface BlobStoreOptions {
  /** On this machine: where uploads to a bucket lie until they are whole. A folder needs none. */
  readonly spoolDirectory: string;
  readonly retries?: S3Retries;
  readonly uploads?: S3UploadLimits;
}

/** For help texts. */
export const BLOB_URLS = "file:DIR or s3://bucket/prefix[?endpoint=URL&region=R&path-style=true]";

/** Opens the store that a URL names; see {@link BLOB_URLS}. @throws Fault parameter_invalid */
export async function openBlobStore(deps: S3StoreDeps, url: string, options: BlobStoreOptions): Promise<BlobStore> {
  if (url.startsWith("file:") && url.length > "file:".length) return await openFolderStore(deps, url.slice("file:".length));
  if (!url.startsWith("s3:")) throw new Fault("parameter_invalid", `"${url}" is not ${BLOB_URLS}`, { detail: { field: "blobs" } });
  const { openS3Store, parseS3Url } = await import("./s3/index.ts"); // The SDK is large: only who uses it loads it.
  return await openS3Store(deps, { ...options, place: parseS3Url(url) });
}
