import { type Fault, type Millis, type Random, SECOND } from "#kernel";

/** What a service that hiccups needs. */
const WAIT_MS_MIN: Millis = 2 * SECOND;
/** A service that was down for hours is found within a minute. */
const WAIT_MS_MAX: Millis = 60 * SECOND;
/** Nobody's `Retry-After` keeps us away for longer. */
const ADVISED_WAIT_MS_MAX: Millis = 15 * 60 * SECOND;

/**
 * How long to wait before the next attempt: doubled with every failure, spread upwards by a quarter so that a thousand jobs do
 * not come back at the same moment, and no shorter than the service asked for. Undefined when trying again is pointless.
 */
export function retryDelayMs(fault: Fault, failures: number, random: Random): Millis | undefined {
  if (fault.retry.kind === "never") return undefined;
  const advisedMs = fault.retry.kind === "after" ? Math.min(fault.retry.waitMs, ADVISED_WAIT_MS_MAX) : 0;
  const backoffMs = Math.min(WAIT_MS_MAX, WAIT_MS_MIN * 2 ** (failures - 1)) * (1 + random.float() / 4);
  return Math.max(advisedMs, backoffMs);
}
