export * from "./data/index.ts";
export { differentiate } from "./gradient/differentiate.ts";
export { ADAMW_DEFAULTS } from "./training/adamw.ts";
export type { Example } from "./training/example.ts";
export { type GradientSession, openGradientSession } from "./training/gradient-session.ts";
export { initialState, TRAINING_DEFAULTS, type TrainingState, train, trainStep } from "./training/train.ts";
