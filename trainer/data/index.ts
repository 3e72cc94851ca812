export type { PreparationListener, PreparationStep } from "./dialogue.ts";
export { encodeRecord, type TrainingBase } from "./encode.ts";
export { AUTO_EPOCHS, type ChosenEpochs, chooseEpochs } from "./epochs.ts";
export { estimateCost, estimateTrainingMs } from "./estimate.ts";
export { type Preparation, prepareData } from "./prepare.ts";
export { RECORD_BYTES_MAX } from "./records/record.ts";
export type { DataKind, TrainingRecord } from "./rows.ts";
export { readTrainingFile, type TrainingFileSummary, validateTrainingFile } from "./training-file.ts";
