import { Metadata, type ServiceError, type StatusObject, status } from "@grpc/grpc-js";
import { FAULTS, Fault, type FaultCode, type FaultDetail, type FaultReason, type Retry } from "#kernel";
import { BadRequest, ErrorInfo, ResourceInfo, RetryInfo } from "./generated/google/rpc/error_details.ts";
import { Status } from "./generated/google/rpc/status.ts";

/** The one mapping between a Fault and a gRPC status with rich details (`grpc-status-details-bin`). */

const DETAILS_KEY = "grpc-status-details-bin";
const DOMAIN = "deltaplane";
/** A status travels in trailers, which peers limit to some kilobytes; what is longer is text of the caller's own. */
const MESSAGE_LENGTH_MAX = 500;
const DETAIL_LENGTH_MAX = 200;

const CODES: Readonly<Record<FaultCode, status>> = {
  cancelled: status.CANCELLED,
  invalid_argument: status.INVALID_ARGUMENT,
  deadline_exceeded: status.DEADLINE_EXCEEDED,
  not_found: status.NOT_FOUND,
  already_exists: status.ALREADY_EXISTS,
  permission_denied: status.PERMISSION_DENIED,
  resource_exhausted: status.RESOURCE_EXHAUSTED,
  failed_precondition: status.FAILED_PRECONDITION,
  aborted: status.ABORTED,
  out_of_range: status.OUT_OF_RANGE,
  unimplemented: status.UNIMPLEMENTED,
  internal: status.INTERNAL,
  unavailable: status.UNAVAILABLE,
  data_loss: status.DATA_LOSS,
  unauthenticated: status.UNAUTHENTICATED,
};

/** For statuses that a peer sent without our details: a proxy, the transport, another server. */
const REASONS_BY_CODE: ReadonlyMap<status, FaultReason> = new Map([
  // Whoever cancels a call gets his own signal's reason; if it was not us, the peer cut the call as it shut down.
  [status.CANCELLED, "node_lost"],
  [status.INVALID_ARGUMENT, "message_malformed"],
  [status.DEADLINE_EXCEEDED, "deadline_passed"],
  [status.NOT_FOUND, "resource_unknown"],
  [status.ALREADY_EXISTS, "resource_exists"],
  [status.PERMISSION_DENIED, "scope_missing"],
  [status.RESOURCE_EXHAUSTED, "message_too_large"],
  [status.FAILED_PRECONDITION, "resource_in_use"],
  [status.ABORTED, "version_conflict"],
  [status.UNIMPLEMENTED, "op_unsupported"],
  [status.UNAVAILABLE, "node_lost"],
  [status.DATA_LOSS, "checksum_mismatch"],
  [status.UNAUTHENTICATED, "key_unknown"],
]);

/** What leaves the process: code, message and typed details, never the cause. */
export function faultToStatus(fault: Fault): StatusObject {
  const code = CODES[fault.code];
  const message = printable(fault.message, MESSAGE_LENGTH_MAX);
  const details = [pack("google.rpc.ErrorInfo", ErrorInfo.encode(errorInfo(fault)).finish())];
  if (fault.retry.kind === "after") {
    const waitMs = Math.ceil(fault.retry.waitMs);
    const retryDelay = { seconds: Math.floor(waitMs / 1000), nanos: Math.round((waitMs % 1000) * 1e6) };
    details.push(pack("google.rpc.RetryInfo", RetryInfo.encode({ retryDelay }).finish()));
  }
  if (fault.detail.field !== undefined) {
    const fieldViolations = [{ field: printable(fault.detail.field, DETAIL_LENGTH_MAX), description: message }];
    details.push(pack("google.rpc.BadRequest", BadRequest.encode({ fieldViolations }).finish()));
  }
  if (fault.detail.resource !== undefined) {
    const resourceName = printable(fault.detail.resource, DETAIL_LENGTH_MAX);
    const resource = { resourceType: "", resourceName, owner: "", description: message };
    details.push(pack("google.rpc.ResourceInfo", ResourceInfo.encode(resource).finish()));
  }
  const metadata = new Metadata();
  metadata.set(DETAILS_KEY, Buffer.from(Status.encode({ code, message, details }).finish()));
  if (fault.retry.kind === "never") metadata.set("grpc-retry-pushback-ms", "-1");
  if (fault.retry.kind === "after") metadata.set("grpc-retry-pushback-ms", String(Math.ceil(fault.retry.waitMs)));
  return { code, details: message, metadata };
}

/** A peer's status as a fault: the one it threw when it is one of ours, else the nearest reason for its code. */
export function statusToFault(error: ServiceError): Fault {
  const info = readErrorInfo(error);
  const reason = info && info.domain === DOMAIN && Object.hasOwn(FAULTS, info.reason) ? (info.reason as FaultReason) : undefined;
  if (!info || !reason) return new Fault(REASONS_BY_CODE.get(error.code) ?? "bug", error.details || error.message, { cause: error });
  const { retry, line, ...rest } = info.metadata;
  const detail: FaultDetail = { ...rest, ...(line === undefined ? {} : { line: Number(line) }) };
  return new Fault(reason, error.details, { detail, retry: parseRetry(retry) ?? FAULTS[reason].retry, cause: error });
}

function errorInfo(fault: Fault): ErrorInfo {
  const metadata: Record<string, string> = { retry: printRetry(fault.retry) };
  for (const [key, value] of Object.entries(fault.detail)) metadata[key] = printable(String(value), DETAIL_LENGTH_MAX);
  return { reason: fault.reason, domain: DOMAIN, metadata };
}

function readErrorInfo(error: ServiceError): ErrorInfo | undefined {
  const encoded = error.metadata?.get(DETAILS_KEY)[0];
  if (!(encoded instanceof Buffer)) return undefined;
  try {
    const packed = Status.decode(encoded).details.find((detail) => detail.typeUrl.endsWith("/google.rpc.ErrorInfo"));
    return packed && ErrorInfo.decode(packed.value);
  } catch {
    return undefined; // Details of a peer that we can't read are as good as none; the code still counts.
  }
}

/** Text that fits, and that every encoder takes: half a surrogate pair would make grpc-js throw. */
function printable(text: string, lengthMax: number): string {
  return (text.length > lengthMax ? `${text.slice(0, lengthMax - 1)}…` : text).toWellFormed();
}

function pack(type: string, value: Uint8Array): { typeUrl: string; value: Buffer } {
  return { typeUrl: `type.googleapis.com/${type}`, value: Buffer.from(value) };
}

function printRetry(retry: Retry): string {
  return retry.kind === "after" ? `after ${Math.ceil(retry.waitMs)}` : retry.kind;
}

function parseRetry(text: string | undefined): Retry | undefined {
  if (text === "never" || text === "at_once" || text === "other_node") return { kind: text };
  const waitMs = /^after (\d+)$/.exec(text ?? "")?.[1];
  return waitMs === undefined ? undefined : { kind: "after", waitMs: Number(waitMs) };
}
