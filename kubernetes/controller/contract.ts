import type { Millis } from "#kernel";
import type { GrpcChannel } from "#proto";
import type { KubernetesObject, Resource } from "../api/contract.ts";

/** Where the catalogue is kept: the routers' public doors, with an operator's key. The controller stays who opened them. */
export interface Doors {
  /** ModelService. */
  readonly router: GrpcChannel;
  /** AdminService. */
  readonly admin: GrpcChannel;
}

/** The two files of a PEFT folder, wherever it is. Each is read once, from the beginning. */
export interface DeltaSource {
  config(signal: AbortSignal): AsyncIterable<Uint8Array>;
  weights(signal: AbortSignal): AsyncIterable<Uint8Array>;
}

/** Where a Delta's `spec.source` lies: a path within the operator's folder of deltas, or a URL. @throws Fault file_missing, parameter_invalid, … */
export type OpenDeltaSource = (place: { readonly path: string } | { readonly url: string }) => DeltaSource;

export type Reconciled<Status> =
  /** The catalogue is as the object says. */
  | { readonly kind: "ready"; readonly status: Status; readonly message: string }
  /** It is not, and somebody else must do something first. `reason` is one word in CamelCase. */
  | { readonly kind: "waiting"; readonly status: Status; readonly reason: string; readonly message: string };

export type Drained =
  | { readonly kind: "drained" }
  /** Looked at again after `waitMs`, or when back-off says. */
  | { readonly kind: "waiting"; readonly reason: string; readonly message: string; readonly waitMs?: Millis };

/**
 * How one kind of object becomes true. Both are level-triggered: they look at how things are, not at what happened, and
 * doing them again changes nothing. A thrown Fault is told in the object's status and tried again later.
 */
export interface Reconciler<Spec, Status> {
  readonly resource: Resource;
  /** @throws for what does not fit; the API server's schema does not let it in */
  readSpec(spec: unknown): Spec;
  /** What cannot be read counts as nothing. */
  readStatus(status: unknown): Status;
  apply(ask: Ask<Spec, Status>, signal: AbortSignal): Promise<Reconciled<Status>>;
  drain(ask: Ask<Spec, Status>, signal: AbortSignal): Promise<Drained>;
}

export interface Ask<Spec, Status> {
  readonly name: string;
  readonly spec: Spec;
  readonly status: Status;
  /** All objects of the kind, itself among them. */
  readonly all: readonly KubernetesObject[];
  /** Since somebody asked for its deletion. */
  readonly deletingMs: Millis;
}
