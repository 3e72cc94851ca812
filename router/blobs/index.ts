export { BLOB_COLLECTION, type BlobCollectionOptions, startBlobCollection } from "./blob-collection.ts";
export { createDeltaFiles, type DeltaFileLimits, type DeltaFiles, type DeltaPiece } from "./delta-files.ts";
