export { type BaseFolders, type BaseFoldersDeps, openBaseFolders } from "./base-folders.ts";
export { type BaseFile, MANIFEST_NAME, readBaseFiles, writeBase } from "./base-manifest.ts";
export { createBlobMetrics } from "./blob-metrics.ts";
export type * from "./contract.ts";
export { openFolderStore } from "./folder/index.ts";
export { BLOB_URLS, type BlobStoreOptions, openBlobStore } from "./open-blob-store.ts";
export type { S3Retries } from "./s3/index.ts";
