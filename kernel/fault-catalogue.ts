import type { FaultCode, Retry } from "./fault.ts";

/** What every entry of the catalogue fixes for its reason. */
interface FaultKind {
  readonly code: FaultCode;
  readonly http: number;
  readonly retry: Retry;
  readonly meaning: string;
}

const never: Retry = { kind: "never" };
const atOnce: Retry = { kind: "at_once" };
const otherNode: Retry = { kind: "other_node" };

/** The name of what was wrong, so that a caller can act without reading the message. */
export interface FaultDetail {
  /** The request field at fault, in the wire's spelling: `temperature`, `prompt`, `stop[2]`. */
  readonly field?: string;
  /** The file at fault, as the caller named it. */
  readonly file?: string;
  /** One-based line in that file. */
  readonly line?: number;
  /** The thing that was asked for: a model name, a node. */
  readonly resource?: string;
}

function kind(code: FaultCode, http: number, retry: Retry, meaning: string): FaultKind {
  return { code, http, retry, meaning };
}

/** Every reason a fault may carry. `docs/faults.md` is tested against this table, both ways. */
export const FAULTS = {
  // The request
  parameter_invalid: kind("invalid_argument", 400, never, "A field is missing, malformed or out of its range."),
  parameter_unsupported: kind("invalid_argument", 400, never, "A field is known, but this server does not offer it."),
  prompt_malformed: kind("invalid_argument", 400, never, "The prompt is empty, no valid UTF-8, or has a token id outside the vocabulary."),
  context_too_long: kind("invalid_argument", 400, never, "The prompt and the tokens asked for do not fit the base's context."),
  message_too_large: kind("resource_exhausted", 413, never, "A message is larger than the server accepts."),
  // Who asks
  key_missing: kind("unauthenticated", 401, never, "No credential was sent."),
  key_unknown: kind("unauthenticated", 401, never, "The credential is malformed, unknown, expired or revoked."),
  scope_missing: kind("permission_denied", 403, never, "The credential is valid, but may not do this."),
  peer_refused: kind("permission_denied", 403, never, "By its certificate the caller is no part of the cluster that may do this."),
  tenant_suspended: kind("permission_denied", 403, never, "The tenant is suspended."),
  // What is asked for
  model_unknown: kind("not_found", 404, never, "No such model, or not one of yours."),
  resource_unknown: kind("not_found", 404, never, "No such resource, or not one of yours."),
  resource_exists: kind("already_exists", 409, never, "A resource of that name exists with other content."),
  resource_in_use: kind("failed_precondition", 409, never, "Something still refers to the resource."),
  idempotency_key_reused: kind("already_exists", 409, never, "The idempotency key was used for another request."),
  request_running: kind("aborted", 409, { kind: "after", waitMs: 500 }, "A request with this idempotency key is still being answered."),
  version_conflict: kind("aborted", 409, atOnce, "Someone else changed the record first."),
  job_not_running: kind("failed_precondition", 409, never, "The fine-tuning job is not in a state in which this can be done."),
  lease_lost: kind("aborted", 409, never, "Somebody else works on the job by now, or its lease ran out: forget it."),
  // Model files
  file_missing: kind("not_found", 404, never, "A file that the folder must have is not there."),
  file_malformed: kind(
    "invalid_argument",
    400,
    never,
    "A file is truncated, overlapping, mislabelled or otherwise not what its format says.",
  ),
  weights_not_finite: kind("invalid_argument", 400, never, "A tensor holds NaN or an infinity."),
  model_unsupported: kind(
    "unimplemented",
    501,
    never,
    "The architecture, position encoding or delta variant is not supported; the message names it.",
  ),
  delta_base_mismatch: kind("failed_precondition", 409, never, "The delta was made for another base, or its shapes do not fit this one."),
  checksum_mismatch: kind("data_loss", 500, otherNode, "Stored bytes are not the bytes that were stored."),
  // Room
  rate_exceeded: kind("resource_exhausted", 429, { kind: "after", waitMs: 1000 }, "The tenant's rate limit is reached."),
  budget_spent: kind("resource_exhausted", 429, never, "The tenant's budget is spent."),
  queue_full: kind("resource_exhausted", 429, { kind: "after", waitMs: 500 }, "Too many requests are waiting."),
  capacity_exhausted: kind(
    "resource_exhausted",
    429,
    { kind: "after", waitMs: 500 },
    "The node has no room for this now: slots, memory or positions.",
  ),
  client_stalled: kind("resource_exhausted", 429, never, "The client stopped reading its stream."),
  // The cluster
  no_ready_node: kind("unavailable", 503, { kind: "after", waitMs: 1000 }, "No node can serve this base now."),
  node_lost: kind("unavailable", 503, otherNode, "The node went away in the middle of the work."),
  node_draining: kind("unavailable", 503, otherNode, "The node takes no new work."),
  engine_lost: kind("unavailable", 503, otherNode, "The engine's process ended; it is being started again."),
  trainer_lost: kind(
    "unavailable",
    503,
    { kind: "after", waitMs: 1000 },
    "The trainer's process ended; training goes on from its last checkpoint.",
  ),
  delta_unavailable: kind(
    "unavailable",
    503,
    { kind: "after", waitMs: 1000 },
    "The delta could not be loaded; the failure is remembered for a while.",
  ),
  store_unreachable: kind("unavailable", 503, { kind: "after", waitMs: 1000 }, "The state store does not answer."),
  blobs_unavailable: kind(
    "unavailable",
    503,
    { kind: "after", waitMs: 1000 },
    "The store of deltas, files and bases does not answer, refuses, or has no room.",
  ),
  tracker_unreachable: kind("unavailable", 503, { kind: "after", waitMs: 2000 }, "An experiment tracker does not answer, or not now."),
  tracker_refused: kind("failed_precondition", 409, never, "An experiment tracker refuses what it is sent; the message names why."),
  shutting_down: kind("unavailable", 503, { kind: "after", waitMs: 1000 }, "This process is draining."),
  // Time
  deadline_passed: kind("deadline_exceeded", 504, never, "The deadline passed before the work was done."),
  client_gone: kind("cancelled", 499, never, "The client cancelled or went away."),
  // Wire and bugs
  message_malformed: kind(
    "invalid_argument",
    400,
    never,
    "The message is not valid: bad UTF-8, wrong types, or fields that contradict each other.",
  ),
  report_rejected: kind(
    "failed_precondition",
    409,
    never,
    "A node's report is out of order or of an old epoch; it must start again with a full one.",
  ),
  op_unsupported: kind("unimplemented", 501, never, "The operation exists in the interface, but not here."),
  bug: kind("internal", 500, never, "A defect of ours. The request id finds it in the log."),
} as const satisfies Record<string, FaultKind>;

export type FaultReason = keyof typeof FAULTS;
