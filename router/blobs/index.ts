export { DELTA_FILE_LIMITS, type DeltaFileLimits, type DeltaFiles, type DeltaPiece, openDeltaFiles } from "./delta-files.ts";
export { StagedFile } from "./staged-file.ts";
