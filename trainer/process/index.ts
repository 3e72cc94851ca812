export { type RunningTraining, startTraining, type TrainingDeps, type TrainingOptions } from "./start-training.ts";
export type { CheckpointReport, TrainingEnd, TrainingReport, TrainingStepReport, TrainingSummary } from "./training-messages.ts";
