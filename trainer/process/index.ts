export { type RunningTraining, startTraining, type TrainingDeps, type TrainingOptions } from "./start-training.ts";
export type { TrainingReport, TrainingStepReport } from "./training-messages.ts";
