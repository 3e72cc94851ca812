export type { Survey, TaskKind } from "./checks/index.ts";
export type { PreparationListener, PreparationStep } from "./dialogue.ts";
export { type EncodeOptions, encodeRecord, type TrainingBase } from "./encode.ts";
export { AUTO_EPOCHS, type ChosenEpochs, chooseEpochs } from "./epochs.ts";
export { estimateCost, estimateTrainingMs } from "./estimate.ts";
export type { TokenCounts } from "./measure.ts";
export { type Preparation, type PrepareOptions, prepareData } from "./prepare.ts";
export type { PreparedFile, PreparedFiles } from "./prepared-files.ts";
export { RECORD_BYTES_MAX, RECORDS_MAX } from "./records/record.ts";
export type { DataKind, TrainingMessage, TrainingRecord } from "./rows.ts";
export {
  readTrainingFile,
  type TrainingExamples,
  type TrainingFileLimits,
  type TrainingFileSummary,
  validateTrainingFile,
} from "./training-file.ts";
