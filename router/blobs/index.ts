export { BLOB_COLLECTION, type BlobCollectionOptions, collectBlobs, startBlobCollection } from "./blob-collection.ts";
export { createDeltaFiles, DELTA_FILE_LIMITS, type DeltaFileLimits, type DeltaFiles, type DeltaPiece } from "./delta-files.ts";
