export type { EventLevel, JobEvent } from "./job-events.ts";
export { JOB_LIMITS, type JobLimits } from "./job-limits.ts";
export { Jobs } from "./jobs.ts";
export { type FineTuning, openFineTuning } from "./open-fine-tuning.ts";
export type { PreparationReport, PreparationStep, PreparationTask, PrepareData } from "./preparation.ts";
export { type Preparation, Preparations, type PreparationWish } from "./preparations.ts";
export type { JobCommand, JobHold, JobReport } from "./trainer-desk.ts";
