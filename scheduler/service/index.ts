export { type RunningScheduler, type SchedulerDeps, type SchedulerOptions, startScheduler } from "./scheduler.ts";
export { type SnapshotWatch, watchSnapshot } from "./snapshot-watch.ts";
