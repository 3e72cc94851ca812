import { type Clock, Fault, isFault, type Log, type Millis, type RequestId, toFault, type Usage } from "#kernel";
import type { Admission } from "../admission/index.ts";
import type { RouterMetrics } from "../metrics.ts";

/** Follows one request for metrics and log; one whose reader leaves ends without a word and counts as cancelled. */
export interface RequestWatch extends Disposable {
  /** When it came, by the monotonic clock. */
  readonly startedAt: Millis;
  /** It was let in, and has a node. */
  readonly admitted: boolean;
  /** What it asks for is known. */
  known(admission: Admission): void;
  letIn(outcome: "admitted" | "admitted_without_store" | "replayed"): void;
  served(usage: Usage): void;
  completed(): void;
  /** The error to throw: a defect of ours tells the request id, by which the log has the rest. */
  failed(error: unknown): unknown;
}

export function watchRequest({
  clock,
  metrics,
  log,
}: {
  readonly clock: Clock;
  readonly metrics: RouterMetrics;
  readonly log: Log;
}): RequestWatch {
  let base = "";
  let requestId: RequestId | undefined;
  let code: string = "cancelled";
  let admitted = false;
  return {
    startedAt: clock.monotonic(),
    get admitted() {
      return admitted;
    },
    known(admission) {
      base = admission.target.baseName;
      requestId = admission.requestId;
    },
    letIn(outcome) {
      if (!admitted) metrics.admissionEnded(outcome);
      admitted = true;
    },
    served: (usage) => metrics.tokensServed(base, usage),
    completed() {
      code = "ok";
    },
    failed(error) {
      const fault = toFault(error);
      code = fault.code;
      if (!admitted) metrics.admissionEnded(fault.reason);
      if (!isFault(fault, "bug") || requestId === undefined) return error;
      log.error({ err: fault, requestId }, "a request met a defect");
      return new Fault("bug", `internal error; the request is ${requestId}`, { cause: error });
    },
    [Symbol.dispose]: () => metrics.requestEnded(code, base),
  };
}
