import { FAULTS, type Fault, type FaultReason } from "#kernel";

/** The one mapping from a Fault, or a refusal of HTTP's own, to OpenAI's error: status, body and the headers its clients act on. */

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

/** `field`: what the client calls the field at fault; default: as the fault says. */
export function faultToHttp(fault: Fault, field = fault.detail.field): HttpError {
  const status = FAULTS[fault.reason].http;
  const headers: Record<string, string> = { "x-should-retry": String(fault.retry.kind !== "never") };
  if (fault.retry.kind === "after") {
    headers["retry-after-ms"] = String(Math.ceil(fault.retry.waitMs));
    headers["retry-after"] = String(Math.ceil(fault.retry.waitMs / 1000));
  }
  const error = {
    message: fault.message,
    type: errorType(status, fault),
    param: field ?? (fault.reason === "model_unknown" ? "model" : null),
    code: CODES[fault.reason] ?? fault.reason,
  };
  return { status, headers, body: { error } };
}

/** What HTTP itself refuses, before there is a request that our faults could speak of. */
export type TransportRefusal =
  | { readonly kind: "route"; readonly method: string; readonly path: string }
  | { readonly kind: "method"; readonly method: string; readonly path: string; readonly allowed: readonly string[] }
  | { readonly kind: "content_type"; readonly message: string }
  | { readonly kind: "malformed"; readonly status: 400 | 408 | 431; readonly message: string };

const REFUSAL_CODES = {
  route: "unknown_url",
  method: "method_not_supported",
  content_type: "unsupported_content_type",
  malformed: "message_malformed",
} as const;

export function refusalToHttp(refusal: TransportRefusal): HttpError {
  const type = "invalid_request_error";
  const answer = (status: number, message: string, headers: Record<string, string> = {}): HttpError => ({
    status,
    headers: { "x-should-retry": String(status === 408), ...headers },
    body: { error: { message, type, param: null, code: REFUSAL_CODES[refusal.kind] } },
  });
  switch (refusal.kind) {
    case "route":
      return answer(404, `Unknown request URL: ${refusal.method} ${refusal.path}. Please check the URL for typos (docs/http-api.md).`);
    case "method":
      return answer(405, `${refusal.method} is not supported on ${refusal.path}`, { allow: refusal.allowed.join(", ") });
    case "content_type":
      return answer(415, refusal.message);
    case "malformed":
      return answer(refusal.status, refusal.message);
  }
}

/** Of a limit its kind, as OpenAI has it: of requests, or of tokens. */
function errorType(status: number, { reason, detail }: Fault): string {
  if (reason === "budget_spent") return "insufficient_quota";
  if (status === 429) return detail.resource?.startsWith("tokens") ? "tokens" : "requests";
  if (status === 503) return "service_unavailable_error";
  return status >= 500 ? "server_error" : "invalid_request_error";
}
