import { Fault } from "#kernel";

/** What a failed request to S3 means to us. */
export type S3Failure =
  /** There is no such object, or upload. */
  | { readonly kind: "missing" }
  /** It was replaced since it was first read. */
  | { readonly kind: "changed" }
  /** It may go well when tried again: overload, a lost connection, a body damaged on the way. */
  | { readonly kind: "passing"; readonly why: string }
  /** The store understood and said no. */
  | { readonly kind: "refused"; readonly why: string };

/** As the SDK throws them; parts that network errors lack are undefined. */
interface S3Error {
  readonly name?: string;
  readonly message?: string;
  readonly code?: string;
  readonly $metadata?: { readonly httpStatusCode?: number };
}

const MISSING_NAMES = new Set(["NoSuchKey", "NotFound", "NoSuchUpload"]);
/** Refusals by status that are none: the store saw other bytes than we sent, or too late. */
const PASSING_NAMES = new Set([
  "BadDigest",
  "XAmzContentSHA256Mismatch",
  "InvalidDigest",
  "RequestTimeout",
  "IncompleteBody",
  "SlowDown",
  "InternalError",
]);
const PASSING_STATUS = new Set([408, 429, 500, 502, 503, 504]);
/** What no configuration has yet: told as it is, for the operator. */
const CONFIGURATION_NAMES = new Set(["CredentialsProviderError", "TokenProviderError", "NoSuchBucket"]);

export function failureOf(error: unknown): S3Failure {
  const { name = "", message = "", code, $metadata } = error as S3Error;
  const status = $metadata?.httpStatusCode;
  const why = [name || code, message].filter(Boolean).join(": ").slice(0, 300);
  if (CONFIGURATION_NAMES.has(name) || message.startsWith("Region is missing")) return { kind: "refused", why };
  if (MISSING_NAMES.has(name)) return { kind: "missing" };
  if (status === 412 || name === "PreconditionFailed") return { kind: "changed" };
  if (PASSING_NAMES.has(name) || (status !== undefined && PASSING_STATUS.has(status))) return { kind: "passing", why };
  if (status === 404) return { kind: "missing" };
  // No status: the answer never came. With one below 400 it came damaged.
  if (status === undefined || status < 400) return { kind: "passing", why };
  return { kind: "refused", why };
}

/** What the outside is told when it was tried often enough, or need not be tried again. */
export function blobsUnavailable(operation: string, failure: Extract<S3Failure, { why: string }>, cause: unknown): Fault {
  const verb = failure.kind === "refused" ? "refuses" : "does not answer";
  return new Fault("blobs_unavailable", `the blob store ${verb} (${operation}): ${failure.why}`, { cause });
}
