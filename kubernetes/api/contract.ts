import type { Millis } from "#kernel";

/** A kind of object, as the API's paths name it. */
export interface Resource {
  /** "" for the core group. */
  readonly group: string;
  readonly version: string;
  /** Lower-case, as in the path: `leases`. */
  readonly plural: string;
  readonly kind: string;
  /** Its objects belong to the cluster, not to a namespace. */
  readonly clusterWide?: boolean;
}

/** What every object has that we read or write; everything else is kept as it came. */
export interface ObjectMetadata {
  readonly name: string;
  readonly namespace?: string;
  readonly uid?: string;
  /** Opaque: to be compared for equality, and to be given back. */
  readonly resourceVersion?: string;
  /** Grows with each change of the spec. */
  readonly generation?: number;
  readonly labels?: Readonly<Record<string, string>>;
  readonly annotations?: Readonly<Record<string, string>>;
  readonly finalizers?: readonly string[];
  /** Somebody asked for its deletion, which waits for the finalizers. */
  readonly deletionTimestamp?: string;
  readonly creationTimestamp?: string;
}

export interface KubernetesObject {
  readonly apiVersion?: string;
  readonly kind?: string;
  readonly metadata: ObjectMetadata;
  readonly spec?: unknown;
  readonly status?: unknown;
  /** What kinds without a spec have, like an EndpointSlice. */
  readonly [field: string]: unknown;
}

export interface ObjectList {
  readonly items: readonly KubernetesObject[];
  /** Where a watch goes on from here. */
  readonly resourceVersion: string;
}

/** `expired` is the API's 410: what happened since the version is not known any more, list again. */
export type WatchEvent =
  /** The server took the watch: first of all, and once. */
  | { readonly kind: "open" }
  | { readonly kind: "present"; readonly object: KubernetesObject }
  | { readonly kind: "gone"; readonly object: KubernetesObject }
  | { readonly kind: "bookmark"; readonly resourceVersion: string }
  | { readonly kind: "expired" };

/** `conflict`: somebody else wrote first, or an object of that name exists. `absent`: there is no such object. */
export type Written =
  | { readonly kind: "written"; readonly object: KubernetesObject }
  | { readonly kind: "conflict" }
  | { readonly kind: "absent" };

export interface Selection {
  readonly labelSelector?: string;
}

export interface WatchOptions extends Selection {
  readonly resourceVersion: string;
  /** The API ends the watch by itself after this. */
  readonly lifeMs: Millis;
}

/**
 * The few verbs of a Kubernetes API server that we use, in one namespace. Every call ends in bounded time. Throws Fault
 * store_unreachable when the server does not answer, answers 5xx or asks for patience; key_unknown and scope_missing
 * when it does not let us; parameter_invalid, with its message, when it refuses an object.
 */
export interface KubernetesApi extends AsyncDisposable {
  readonly namespace: string;
  get(resource: Resource, name: string, signal?: AbortSignal): Promise<KubernetesObject | undefined>;
  list(resource: Resource, selection: Selection, signal?: AbortSignal): Promise<ObjectList>;
  create(resource: Resource, object: KubernetesObject, signal?: AbortSignal): Promise<Written>;
  /** Replaces the object whose resourceVersion it names: all but its status, or nothing but its status. */
  replace(resource: Resource, part: "object" | "status", object: KubernetesObject, signal?: AbortSignal): Promise<Written>;
  /** Asks for its deletion; false when there is no such object. */
  remove(resource: Resource, name: string, signal?: AbortSignal): Promise<boolean>;
  /** Ends when the server ends it or, with the signal's reason, when that aborts. @throws like every call, also in the middle */
  watch(resource: Resource, options: WatchOptions, signal: AbortSignal): AsyncIterable<WatchEvent>;
}
