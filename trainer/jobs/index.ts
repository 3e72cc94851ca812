export { chooseHyperparameters } from "./hyperparameter-choice.ts";
export { trackedRun } from "./tracked-job.ts";
export { startTrainer } from "./trainer.ts";
