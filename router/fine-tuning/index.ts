export type { EventLevel, JobEvent, JobNote } from "./job-events.ts";
export { JOB_LIMITS, type JobLimits } from "./job-limits.ts";
export { type JobQuery, Jobs } from "./jobs.ts";
export { type FineTuning, openFineTuning } from "./open-fine-tuning.ts";
export type { PreparationReport, PreparationStep, PreparationTask, PrepareData, PreparedData } from "./preparation.ts";
export { type Preparation, type PreparationDeps, Preparations, type PreparationWish } from "./preparations.ts";
export { type JobCommand, type JobHold, type JobReport, type LeasedJob, TrainerDesk } from "./trainer-desk.ts";
