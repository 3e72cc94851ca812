import { LRUCache } from "lru-cache";
import { type Clock, type DeltaDigest, Fault, type FaultReason, type Millis, SECOND } from "#kernel";

/** Loads that failed lately, so that a bad delta in demand does not keep the disk and the network busy. */
export interface FailureMemory {
  /** @throws the remembered Fault: the delta's own, or delta_unavailable with the time that is left. */
  check(digest: DeltaDigest): void;
  /** Remembers `error` when it says something about the delta; other errors (no room, cancelled) are forgotten at once. */
  note(digest: DeltaDigest, error: unknown): void;
  forget(digest: DeltaDigest): void;
}

export interface FailureMemoryOptions {
  /** A delta whose content is bad stays bad: it is immutable. Only a fix of ours could change it. */
  readonly badContentMs?: Millis;
  /** Long enough to spare an origin that is down, short enough that nobody notices when it is back. */
  readonly unreachableMs?: Millis;
}

const BAD_CONTENT_MS: Millis = 60 * SECOND;
const UNREACHABLE_MS: Millis = 2 * SECOND;
/** Distinct failed deltas; past it the least recently asked for is tried again earlier. */
const REMEMBERED_MAX = 10_000;

const BAD_CONTENT: ReadonlySet<FaultReason> = new Set<FaultReason>([
  "file_missing",
  "file_malformed",
  "weights_not_finite",
  "model_unsupported",
  "delta_base_mismatch",
  "message_too_large",
]);

/** Also a damaged transfer, and a delta that its origin does not know yet. */
const UNREACHABLE: ReadonlySet<FaultReason> = new Set<FaultReason>([
  "delta_unavailable",
  "checksum_mismatch",
  "resource_unknown",
  "store_unreachable",
  "no_ready_node",
  "node_lost",
  "shutting_down",
]);

export function createFailureMemory(clock: Clock, options: FailureMemoryOptions = {}): FailureMemory {
  const badContentMs = options.badContentMs ?? BAD_CONTENT_MS;
  const unreachableMs = options.unreachableMs ?? UNREACHABLE_MS;
  const failures = new LRUCache<DeltaDigest, { readonly fault: Fault; readonly until: Millis }>({ max: REMEMBERED_MAX });
  return {
    check(digest) {
      const failure = failures.get(digest);
      if (!failure) return;
      const waitMs = failure.until - clock.monotonic();
      if (waitMs > 0) throw again(failure.fault, waitMs);
      failures.delete(digest);
    },
    note(digest, error) {
      if (!(error instanceof Fault)) return;
      const rememberMs = BAD_CONTENT.has(error.reason) ? badContentMs : UNREACHABLE.has(error.reason) ? unreachableMs : 0;
      if (rememberMs > 0) failures.set(digest, { fault: error, until: clock.monotonic() + rememberMs });
    },
    forget: (digest) => void failures.delete(digest),
  };
}

/** A fresh fault for each who is told: a stack of its own, and what is left of the wait. */
function again(fault: Fault, waitMs: Millis): Fault {
  const { reason, message, detail } = fault;
  if (BAD_CONTENT.has(reason)) return new Fault(reason, message, { detail, cause: fault });
  return new Fault("delta_unavailable", message, { detail, retry: { kind: "after", waitMs: Math.ceil(waitMs) }, cause: fault });
}
