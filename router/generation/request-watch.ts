import {
  type Clock,
  Fault,
  isFault,
  type Log,
  type Millis,
  type RequestId,
  type TraceContext,
  type Tracer,
  toFault,
  type Usage,
} from "#kernel";
import type { Admission } from "../admission/index.ts";
import type { RouterMetrics } from "../metrics.ts";
import { type Operation, RequestTrace } from "./request-trace.ts";

/** Follows one request for metrics, traces and log; one whose reader leaves ends without a word and counts as cancelled. */
export interface RequestWatch extends Disposable {
  /** When it came, by the monotonic clock. */
  readonly startedAt: Millis;
  /** It was let in, and has a node. */
  readonly admitted: boolean;
  readonly trace: RequestTrace;
  /** What it asks for is known. */
  known(admission: Admission): void;
  letIn(outcome: "admitted" | "admitted_without_store" | "replayed"): void;
  served(usage: Usage): void;
  completed(): void;
  /** The error to throw: a defect of ours tells the request id, by which the log has the rest. */
  failed(error: unknown): unknown;
}

export interface WatchDeps {
  readonly clock: Clock;
  readonly metrics: RouterMetrics;
  readonly log: Log;
  readonly tracer: Tracer;
}

/** @param parent the caller's own span */
export function watchRequest(
  { clock, metrics, log, tracer }: WatchDeps,
  operation: Operation,
  parent: TraceContext | undefined,
): RequestWatch {
  const trace = new RequestTrace(tracer, operation, parent);
  let base = "";
  let requestId: RequestId | undefined;
  let code: string = "cancelled";
  let admitted = false;
  return {
    trace,
    startedAt: clock.monotonic(),
    get admitted() {
      return admitted;
    },
    known(admission) {
      base = admission.target.baseName;
      requestId = admission.requestId;
      trace.known(admission);
    },
    letIn(outcome) {
      if (!admitted) metrics.admissionEnded(outcome);
      if (!admitted) trace.letIn(outcome);
      admitted = true;
    },
    served(usage) {
      metrics.tokensServed(base, usage);
      trace.served(usage);
    },
    completed() {
      code = "ok";
    },
    failed(error) {
      const fault = toFault(error);
      code = fault.code;
      trace.end(fault);
      if (!admitted) metrics.admissionEnded(fault.reason);
      if (!isFault(fault, "bug") || requestId === undefined) return error;
      log.error({ err: fault, requestId }, "a request met a defect");
      return new Fault("bug", `internal error; the request is ${requestId}`, { cause: error });
    },
    [Symbol.dispose]() {
      metrics.requestEnded(code, base);
      trace.end();
    },
  };
}
