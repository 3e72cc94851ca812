export {
  type ChosenHyperparameters,
  chooseHyperparameters,
  type TrainingFacts,
  type WishedHyperparameters,
} from "./hyperparameter-choice.ts";
export type { TrackingEnvironment } from "./job-tracking.ts";
export { trackedRun } from "./tracked-job.ts";
export { type RunningTrainer, startTrainer, type TrainerDeps, type TrainerOptions } from "./trainer.ts";
