import { FAULTS, type FaultDetail, type FaultReason } from "./fault-catalogue.ts";
import type { Millis } from "./units.ts";

/** gRPC's closed set of status codes, less OK and UNKNOWN: every fault says what kind of bad news it is. */
export type FaultCode =
  | "cancelled"
  | "invalid_argument"
  | "deadline_exceeded"
  | "not_found"
  | "already_exists"
  | "permission_denied"
  | "resource_exhausted"
  | "failed_precondition"
  | "aborted"
  | "out_of_range"
  | "unimplemented"
  | "internal"
  | "unavailable"
  | "data_loss"
  | "unauthenticated";

/** What the caller may do about it. */
export type Retry =
  | { readonly kind: "never" }
  | { readonly kind: "at_once" }
  | { readonly kind: "after"; readonly waitMs: Millis }
  | { readonly kind: "other_node" };

/**
 * Bad news that crosses a boundary. `reason` is a stable word from {@link FAULTS}; the code, the HTTP status and the
 * default advice follow from it. `detail` is shown to the caller, `cause` never leaves the process.
 */
export class Fault<R extends FaultReason = FaultReason> extends Error {
  override readonly name = "Fault";
  readonly code: FaultCode;
  readonly reason: R;
  readonly detail: FaultDetail;
  readonly retry: Retry;

  constructor(reason: R, message: string, options: { detail?: FaultDetail; retry?: Retry; cause?: unknown } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = FAULTS[reason].code;
    this.reason = reason;
    this.detail = options.detail ?? {};
    this.retry = options.retry ?? FAULTS[reason].retry;
  }
}

/** Whether `error` is a fault, narrowed to one reason when given. */
export function isFault<R extends FaultReason>(error: unknown, reason?: R): error is Fault<R> {
  return error instanceof Fault && (reason === undefined || error.reason === reason);
}

/** Any thrown value as a fault; what is not one already is a bug of ours, and says nothing of its insides. */
export function toFault(error: unknown): Fault {
  if (error instanceof Fault) return error;
  return new Fault("bug", "internal error", { cause: error });
}
