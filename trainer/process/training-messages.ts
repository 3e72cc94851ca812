import { assert, type Bytes, type FaultMessage, type Millis, type Tokens } from "#kernel";
import type { ExamplePart } from "../training/packed-examples.ts";
import type { Learnable, TrainingPlan } from "../training/plan.ts";
import type { Progress } from "../training/train.ts";

/** What the trainer's process needs to begin, beside the examples. */
export interface TrainingStart {
  /** A Hugging Face folder. */
  readonly baseDirectory: string;
  /** What the base is called here. */
  readonly baseName: string;
  readonly learnable: Learnable;
  readonly plan: TrainingPlan;
  /** Of the runtime's kernels. */
  readonly threads: number;
  /** Of the process, as the operating system counts it: above 0 is below serving. */
  readonly niceness: number;
  /** Of the process at its peak, as far as it can be told before. */
  readonly memoryBytesMax: Bytes;
  /** Over all examples, trained on and held out. */
  readonly tokensMax: Tokens;
  /** For this training alone. If it holds a checkpoint of the same plan, the training goes on from there. */
  readonly checkpointDirectory: string;
  readonly checkpointEverySteps: number;
  /** What is learned in the end; made, or replaced as a whole. */
  readonly resultDirectory: string;
  /** Deltas as they were after each of the last epochs: `epoch-1`, `epoch-2`, … Undefined for none. */
  readonly epochDirectory?: string | undefined;
}

/** Which of the two sets of examples a part belongs to. */
export type ExampleRole = "train" | "held_out";

/** Parent to child. */
export type ToTrainer =
  | { readonly kind: "start"; readonly start: TrainingStart }
  | { readonly kind: "examples"; readonly role: ExampleRole; readonly part: ExamplePart }
  /** All examples were sent. */
  | { readonly kind: "run" }
  /** The consumer has taken so many reports: as many more may be sent. */
  | { readonly kind: "credit"; readonly reports: number }
  | { readonly kind: "checkpoint" }
  | { readonly kind: "pause" }
  | { readonly kind: "finish" };

/** How a training begins. */
export interface TrainingSummary {
  readonly totalSteps: number;
  readonly stepsPerEpoch: number;
  /** More than 0 when it goes on from a checkpoint. */
  readonly stepsDone: number;
  readonly trainedTokens: Tokens;
  /** Learned values. */
  readonly parameterCount: number;
  /** What it is thought to take at its peak. */
  readonly memoryBytes: Bytes;
  readonly microbatchTokensMax: Tokens;
  /** How many different answers classification looks at; 0 when it does not. */
  readonly classes: number;
}

/** One step has been made. */
export interface TrainingStepReport extends Progress {
  readonly kind: "step";
  readonly durationMs: Millis;
  /** What the epoch that ends with it has come to, where that is kept. */
  readonly epochResult: string | undefined;
}

/** All up to `step` is safe. */
export interface CheckpointReport {
  readonly kind: "checkpoint";
  readonly step: number;
  readonly file: string;
}

/** How a training ends, when nothing goes wrong. */
export type TrainingEnd =
  | {
      readonly kind: "finished";
      /** Steps made, fewer than planned after an early stop or `finish`. */
      readonly step: number;
      readonly trainedTokens: Tokens;
      /** The step whose parameters are the result. */
      readonly resultStep: number;
      readonly resultDirectory: string;
    }
  /** The last checkpoint holds all of it. */
  | { readonly kind: "paused"; readonly step: number; readonly trainedTokens: Tokens };

export type TrainingReport = TrainingStepReport | CheckpointReport | TrainingEnd;

/** Child to parent. */
export type FromTrainer =
  | { readonly kind: "ready"; readonly summary: TrainingSummary }
  | { readonly kind: "report"; readonly report: TrainingReport }
  | { readonly kind: "failed"; readonly fault: FaultMessage };

/** Reports on their way or unread in the parent. With no more credit the training waits. */
export const REPORT_WINDOW = 64;

/** Both processes run the same files, so the kind is all that is checked. */
export function asToTrainer(value: unknown): ToTrainer {
  assert(hasKind(value, TO_TRAINER), "the trainer's process received something that is no message");
  return value as ToTrainer;
}

export function asFromTrainer(value: unknown): FromTrainer {
  assert(hasKind(value, FROM_TRAINER), "the trainer's process sent something that is no message");
  return value as FromTrainer;
}

const TO_TRAINER: ReadonlySet<string> = new Set<ToTrainer["kind"]>(["start", "examples", "run", "credit", "checkpoint", "pause", "finish"]);
const FROM_TRAINER: ReadonlySet<string> = new Set<FromTrainer["kind"]>(["ready", "report", "failed"]);

function hasKind(value: unknown, kinds: ReadonlySet<string>): boolean {
  return typeof value === "object" && value !== null && "kind" in value && kinds.has(String(value.kind));
}
