export { type BaseFolders, openBaseFolders } from "./base-folders.ts";
export { MANIFEST_NAME, writeBase } from "./base-manifest.ts";
export { createBlobMetrics } from "./blob-metrics.ts";
export type * from "./contract.ts";
export { openFolderStore } from "./folder/index.ts";
export { BLOB_URLS, openBlobStore } from "./open-blob-store.ts";
