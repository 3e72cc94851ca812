import { FAULTS, type Fault, type FaultReason } from "#kernel";

/** The one mapping from a Fault to OpenAI's error: status, body and the headers its clients act on. */

/** All four keys are required by OpenAI's schema. */
export interface OpenAiErrorBody {
  readonly error: {
    readonly message: string;
    readonly type: string;
    readonly param: string | null;
    readonly code: string | null;
  };
}

export interface HttpError {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: OpenAiErrorBody;
}

/** OpenAI's own words, where it has one; every other reason is its own code. */
const CODES: Partial<Record<FaultReason, string>> = {
  key_missing: "invalid_api_key",
  key_unknown: "invalid_api_key",
  model_unknown: "model_not_found",
  context_too_long: "context_length_exceeded",
  parameter_unsupported: "unsupported_parameter",
  parameter_invalid: "invalid_value",
  rate_exceeded: "rate_limit_exceeded",
  queue_full: "rate_limit_exceeded",
  capacity_exhausted: "rate_limit_exceeded",
  budget_spent: "insufficient_quota",
  bug: "server_error",
};

export function faultToHttp(fault: Fault): HttpError {
  const status = FAULTS[fault.reason].http;
  const headers: Record<string, string> = { "x-should-retry": String(fault.retry.kind !== "never") };
  if (fault.retry.kind === "after") {
    headers["retry-after-ms"] = String(fault.retry.waitMs);
    headers["retry-after"] = String(Math.ceil(fault.retry.waitMs / 1000));
  }
  const error = {
    message: fault.message,
    type: errorType(status, fault.reason),
    param: fault.detail.field ?? (fault.reason === "model_unknown" ? "model" : null),
    code: CODES[fault.reason] ?? fault.reason,
  };
  return { status, headers, body: { error } };
}

function errorType(status: number, reason: FaultReason): string {
  if (reason === "budget_spent") return "insufficient_quota";
  if (status === 429) return "requests";
  if (status === 503) return "service_unavailable_error";
  return status >= 500 ? "server_error" : "invalid_request_error";
}
