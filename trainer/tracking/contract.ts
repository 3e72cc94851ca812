import type { Fault, Millis } from "#kernel";

/** What JSON can say: configurations and summaries are shown by others' tools as they are. */
export type Json = string | number | boolean | null | readonly Json[] | JsonFields;
export interface JsonFields {
  readonly [name: string]: Json;
}

/** The run of one fine-tuning job, as experiment trackers show it. */
export interface TrackedRun {
  /** The job's: `ftjob-…`. Also the run's id wherever an id can be chosen. */
  readonly id: string;
  /** What people read; the job's id unless the job says otherwise. */
  readonly name: string;
  /** Where it goes, when the job says so; else what the tracker is configured with. */
  readonly project?: string;
  readonly entity?: string;
  /** Added to the tags that every run gets. */
  readonly tags: readonly string[];
  /** The base's name. */
  readonly baseModel: string;
  readonly startedAtMs: Millis;
  /** The job as its owner sees it. Never holds a secret: it is sent to others. */
  readonly config: JsonFields;
  readonly trainingFile?: TrackedFile;
  readonly validationFile?: TrackedFile;
}

/** A file of the job, which trackers keep as an artifact. */
export interface TrackedFile {
  /** `file-…` */
  readonly id: string;
  readonly filename: string;
  /** Examples in it, when they have been counted. */
  readonly examples?: number;
  /** The file object as its owner sees it. */
  readonly metadata: JsonFields;
  /** The bytes: read more than once, so not a stream; `openAsBlob` gives one that stays on disk. */
  content(): Promise<Blob>;
}

/** Metrics of one step. What is not set was not measured; values may be NaN or infinite, as losses sometimes are. */
export interface TrackedStep {
  /** Counts from 1 and only grows; a step that was tracked before is passed over. */
  readonly step: number;
  readonly atMs: Millis;
  /** Since the run started. */
  readonly elapsedS: number;
  readonly trainLoss?: number;
  readonly trainMeanTokenAccuracy?: number;
  readonly validLoss?: number;
  readonly validMeanTokenAccuracy?: number;
  readonly fullValidLoss?: number;
  readonly fullValidMeanTokenAccuracy?: number;
  readonly learningRate?: number;
  readonly gradientNorm?: number;
  /** So far. */
  readonly trainedTokens: number;
  /** `classification/accuracy`, … */
  readonly classification?: Readonly<Record<string, number>>;
}

/**
 * How a run ended, for now or for good.
 * - `succeeded`, `failed`, `cancelled`: nothing follows.
 * - `paused`: the same run is started again later, maybe by another process.
 */
export interface RunEnd {
  readonly outcome: "succeeded" | "failed" | "cancelled" | "paused";
  readonly atMs: Millis;
  /** `fine_tuned_model`, `status`, `trained_tokens`, … */
  readonly summary: JsonFields;
}

/**
 * What a training process tells its progress to. Nothing here throws, blocks or slows the training down: steps go to a log
 * on disk, and every sink follows that log at its own pace. What goes wrong is told as a {@link TrackingEvent}.
 */
export interface Tracker extends AsyncDisposable {
  /** Begins, or goes on where an earlier process stopped. Once. */
  start(run: TrackedRun): void;
  /**
   * Takes one step. After a crash the trainer repeats steps since its checkpoint, and may replay all that it knows: only steps
   * after the last one tracked are new.
   */
  step(metrics: TrackedStep): void;
  /** Waits, within limits, until every sink has everything. Never rejects. Once; disposing without it leaves the run open. */
  finish(end: RunEnd): Promise<TrackingReport>;
}

/** What became of each sink, by name. */
export interface TrackingReport {
  readonly sinks: Readonly<Record<string, SinkState>>;
  /** Steps that could not even be kept on disk. */
  readonly stepsDropped: number;
}

/**
 * - `delivered`: it has every step and the end.
 * - `behind`: it did not answer in time; what it lacks is still in the log.
 * - `gave_up`: it refused in a way that trying again does not change.
 */
export type SinkState = "delivered" | "behind" | "gave_up";

export type TrackingEvent =
  /** The sink has the run; `url` shows it. */
  | { readonly kind: "sink_started"; readonly sink: string; readonly url?: string }
  /** It failed and is tried again in `waitMs`. Told for every attempt; attempts get rarer. */
  | { readonly kind: "sink_failed"; readonly sink: string; readonly fault: Fault; readonly waitMs: Millis }
  | { readonly kind: "sink_gave_up"; readonly sink: string; readonly fault: Fault }
  /** It left something out, and goes on. */
  | { readonly kind: "sink_warned"; readonly sink: string; readonly message: string }
  /** Somebody pressed stop in the tracker's own page. What follows is the job's decision. */
  | { readonly kind: "stop_requested"; readonly sink: string }
  /** The log could not take steps, `total` so far. */
  | { readonly kind: "steps_dropped"; readonly total: number; readonly message: string };

export type ReportEvent = (event: TrackingEvent) => void;

/** One step as sinks see it: flat, in the names of the result file. */
export interface MetricRow {
  readonly step: number;
  readonly atMs: Millis;
  readonly elapsedS: number;
  /** In the order of {@link TrackedStep}'s fields; `trained_tokens` is always there and always last. */
  readonly metrics: ReadonlyMap<string, number>;
}

/**
 * One place that runs are tracked in. Calls never overlap. After any failure `start` is called again before anything else, as
 * after a crash, so there is one way to recover; every call may therefore find that its work was done before.
 */
export interface Sink {
  /** Unique within a tracker. */
  readonly name: string;
  /** At least this long between two writes, so that steps come in batches. */
  readonly pauseMs: Millis;
  /** With {@link heartbeat}: after this long without a write. */
  readonly heartbeatMs?: Millis;
  /** Creates the run or finds it. @throws Fault, whose `retry` says whether to try again; likewise below. */
  start(run: TrackedRun, signal: AbortSignal): Promise<SinkStart>;
  /** Takes rows, all or a prefix of them; those after `heldStep` and each once, in order. */
  write(rows: readonly MetricRow[], signal: AbortSignal): Promise<void>;
  heartbeat?(signal: AbortSignal): Promise<void>;
  finish(end: RunEnd, signal: AbortSignal): Promise<void>;
}

export interface SinkStart {
  /** The last step that the sink has, whole and for good; 0: none. */
  readonly heldStep: number;
  readonly url?: string;
}
