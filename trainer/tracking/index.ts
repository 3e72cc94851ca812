export type { Json, JsonFields, RunEnd, Sink, TrackedFile, TrackedRun, TrackedStep, Tracker, TrackingEvent } from "./contract.ts";
export { createSinks } from "./sinks.ts";
export { createTracker } from "./tracker.ts";
export { wandbSettings } from "./wandb/settings.ts";
export { type SyncableJob, type SyncOptions, syncRuns } from "./wandb/sync-runs.ts";
