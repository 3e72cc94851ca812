import type { Fault, FaultDetail, FaultReason } from "#kernel";
import type { BaseInfo, DeltaInspection, DeltaReference, LoadedDelta } from "#model";

/** What crosses the border between the agent and its loading threads; plain data only. */

export interface LoadJob {
  /** `load` gives the weights, `inspect` checks them and gives what they are. */
  readonly kind: "load" | "inspect";
  readonly directory: string;
  readonly reference: DeltaReference;
  readonly base: BaseInfo;
}

export type LoadAnswer =
  | { readonly kind: "loaded"; readonly delta: LoadedDelta }
  | { readonly kind: "inspected"; readonly inspection: DeltaInspection }
  | { readonly kind: "fault"; readonly fault: PlainFault }
  /** A defect: anything thrown that is no fault. */
  | { readonly kind: "defect"; readonly message: string };

export interface PlainFault {
  readonly reason: FaultReason;
  readonly message: string;
  readonly detail: FaultDetail;
}

export function plainFault(fault: Fault): PlainFault {
  return { reason: fault.reason, message: fault.message, detail: fault.detail };
}
