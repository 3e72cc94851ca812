import { Fault, type Retry, toFault } from "./fault.ts";
import type { FaultDetail, FaultReason } from "./fault-catalogue.ts";

/** A fault as plain data; its cause stays in the process where it happened. */
export interface FaultMessage {
  readonly reason: FaultReason;
  readonly message: string;
  readonly detail: FaultDetail;
  readonly retry: Retry;
}

/** What is no fault already is a defect; between our own processes its text is told, so that the agent's log names it. */
export function faultMessage(error: unknown): FaultMessage {
  const fault = toFault(error);
  const message = fault === error || !(error instanceof Error) ? fault.message : `${error.name}: ${error.message}`;
  return { reason: fault.reason, message, detail: fault.detail, retry: fault.retry };
}

export function faultFrom({ reason, message, detail, retry }: FaultMessage): Fault {
  return new Fault(reason, message, { detail, retry });
}
