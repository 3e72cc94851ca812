export {
  type ChosenHyperparameters,
  chooseHyperparameters,
  type TrainingFacts,
  type WishedHyperparameters,
} from "./hyperparameter-choice.ts";
export { type RunningTrainer, startTrainer, type TrainerDeps, type TrainerOptions } from "./trainer.ts";
