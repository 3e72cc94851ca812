export { BasePlacement, type PlacementLimits } from "./base-placement.ts";
export { type RunningScheduler, SCHEDULER_SETTLE_MS, type SchedulerDeps, type SchedulerOptions, startScheduler } from "./scheduler.ts";
export { type SnapshotWatch, watchSnapshot } from "./snapshot-watch.ts";
