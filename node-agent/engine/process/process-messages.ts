import { assert, type FaultMessage } from "#kernel";
import type { BaseInfo } from "#model";
import type { Compute } from "../compute.ts";
import type { EngineLoad, SequenceEvent, SequenceSpec, Slot } from "../contract.ts";
import type { EngineOptions } from "../engine-options.ts";
import type { RunnerLimits } from "../runner/contract.ts";
import type { HandedDelta } from "./hand-over-file.ts";

/** What the engine's process needs to begin. */
export interface EngineStart {
  /** A Hugging Face folder. */
  readonly directory: string;
  /** What the base is called here. */
  readonly name: string;
  /** Default: float32 on the processor. */
  readonly compute?: Compute;
  /** Of the runtime's kernels. */
  readonly threads: number;
  readonly limits: RunnerLimits;
  readonly engine: Partial<EngineOptions>;
}

/** Parent to child. `call` numbers what is answered by a reply, `stream` one generate; both are the parent's. */
export type ToEngine =
  | { readonly kind: "start"; readonly start: EngineStart }
  /** The values lie in the file that both have open, until this is answered. */
  | { readonly kind: "attach"; readonly call: number; readonly delta: HandedDelta }
  | { readonly kind: "detach"; readonly call: number; readonly slot: Slot }
  | { readonly kind: "generate"; readonly stream: number; readonly spec: SequenceSpec }
  /** The consumer has taken so many events: as many more may be sent. */
  | { readonly kind: "credit"; readonly stream: number; readonly events: number }
  | { readonly kind: "cancel"; readonly stream: number }
  /** Is anybody there? Answered with news, between two steps. */
  | { readonly kind: "ask" }
  | { readonly kind: "stop" };

/** What one stream tells in a turn; `end` is its last word. */
export interface StreamNews {
  readonly stream: number;
  readonly events: SequenceEvent[];
  end: { readonly fault: FaultMessage | undefined } | undefined;
}

/** Child to parent. */
export type FromEngine =
  | { readonly kind: "ready"; readonly base: BaseInfo; readonly load: EngineLoad }
  | { readonly kind: "failed"; readonly fault: FaultMessage }
  | { readonly kind: "reply"; readonly call: number; readonly slot: Slot | undefined; readonly load: EngineLoad }
  | { readonly kind: "refusal"; readonly call: number; readonly fault: FaultMessage }
  /** All that one step has brought, for all streams at once. */
  | { readonly kind: "news"; readonly streams: readonly StreamNews[]; readonly load: EngineLoad }
  | { readonly kind: "lost"; readonly message: string };

/** Events of one stream that are on their way or unread in the parent. Beyond that the child keeps them, and its row pauses. */
export const STREAM_WINDOW_EVENTS = 64;

/** Credits are given in lots, so that they cost one message in so many tokens. */
export const CREDIT_LOT_EVENTS = STREAM_WINDOW_EVENTS / 2;

/** The child's descriptor of the file through which deltas come: the first behind its channel. */
export const HAND_OVER_DESCRIPTOR = 4;

/** Kinds that a side may receive; whatever else arrives is a defect of ours, not of a user's. */
const TO_ENGINE: ReadonlySet<string> = new Set<ToEngine["kind"]>([
  "start",
  "attach",
  "detach",
  "generate",
  "credit",
  "cancel",
  "ask",
  "stop",
]);
const FROM_ENGINE: ReadonlySet<string> = new Set<FromEngine["kind"]>(["ready", "failed", "reply", "refusal", "news", "lost"]);

/** Both processes run the same files, so the kind is all that is checked. */
export function asToEngine(value: unknown): ToEngine {
  assert(hasKind(value, TO_ENGINE), "the engine's process received something that is no message");
  return value as ToEngine;
}

export function asFromEngine(value: unknown): FromEngine {
  assert(hasKind(value, FROM_ENGINE), "the engine's process sent something that is no message");
  return value as FromEngine;
}

function hasKind(value: unknown, kinds: ReadonlySet<string>): boolean {
  return typeof value === "object" && value !== null && "kind" in value && kinds.has(String(value.kind));
}
