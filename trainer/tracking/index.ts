export type {
  Json,
  JsonFields,
  ReportEvent,
  RunEnd,
  Sink,
  SinkState,
  TrackedFile,
  TrackedRun,
  TrackedStep,
  Tracker,
  TrackingEvent,
  TrackingReport,
} from "./contract.ts";
export { createSinks, RESULTS_FILE, type SinksOptions } from "./sinks.ts";
export { createTracker, LOG_FILE, type TrackerDeps, type TrackerOptions } from "./tracker.ts";
export { type WandbSettings, wandbSettings } from "./wandb/settings.ts";
export { type SyncableJob, type SyncedRun, type SyncOptions, syncRuns } from "./wandb/sync-runs.ts";
