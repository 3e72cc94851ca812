import { type Clock, Fault, isFault, type Millis, toFault } from "#kernel";
import type { KubernetesApi, KubernetesObject, ObjectMetadata } from "../api/contract.ts";
import { type Condition, conditionReason, type Verdict, withReady } from "../custom-resources/condition.ts";
import type { Ask, Reconciler } from "./contract.ts";

/** Ours is to drain an object before it goes; others may have finalizers of their own. */
const FINALIZER = "deltaplane.dev/drain";

/** What became of one look at one object. */
export type Kept =
  | { readonly kind: "ready" | "drained" | "absent" }
  | { readonly kind: "waiting"; readonly waitMs?: Millis }
  /** Told in the object's status, and tried again. */
  | { readonly kind: "failed"; readonly fault: Fault };

export interface KeeperDeps {
  readonly api: KubernetesApi;
  readonly clock: Clock;
  /** @throws when we lead no longer: asked before everything that is written or said */
  readonly assertLeading: () => void;
}

interface StatusFields {
  readonly conditions?: readonly Condition[] | undefined;
  readonly observedGeneration?: number | undefined;
}

/**
 * Brings objects of one kind and the catalogue together: finalizer first, so that nothing is made that is not taken down again;
 * then what the object says; then, only if it says something new, its status. Every write names the version that was
 * read: whoever is overtaken stops, and is called again by the change.
 */
export class ObjectKeeper<Spec, Status extends StatusFields> {
  readonly #deps: KeeperDeps;
  readonly #reconciler: Reconciler<Spec, Status>;

  constructor(deps: KeeperDeps, reconciler: Reconciler<Spec, Status>) {
    this.#deps = deps;
    this.#reconciler = reconciler;
  }

  /** Looks at one of `objects`. @throws Fault version_conflict, lease_lost; the signal's reason */
  async keep(objects: ReadonlyMap<string, KubernetesObject>, name: string, signal: AbortSignal): Promise<Kept> {
    const object = objects.get(name);
    if (!object) return { kind: "absent" };
    const { metadata } = object;
    this.#deps.assertLeading();
    const ours = metadata.finalizers?.includes(FINALIZER) ?? false;
    const deleted = metadata.deletionTimestamp !== undefined;
    if (!ours && deleted) return { kind: "absent" };
    if (ours) {
      try {
        return deleted ? await this.#letGo(objects, object, signal) : await this.#apply(objects, object, signal);
      } catch (error) {
        return await this.#failed(object, error, signal);
      }
    }
    const finalizers = [...(metadata.finalizers ?? []), FINALIZER];
    await this.#replace("object", { ...object, metadata: { ...metadata, finalizers } }, signal);
    return { kind: "waiting" }; // For the news of our own change, with which it goes on.
  }

  async #apply(objects: ReadonlyMap<string, KubernetesObject>, object: KubernetesObject, signal: AbortSignal): Promise<Kept> {
    const done = await this.#reconciler.apply(this.#askOf(objects, object), signal);
    const verdict: Verdict =
      done.kind === "ready"
        ? { status: "True", reason: "Reconciled", message: done.message }
        : { status: "False", reason: done.reason, message: done.message };
    await this.#writeStatus(object, done.status, verdict, signal);
    return { kind: done.kind };
  }

  async #letGo(objects: ReadonlyMap<string, KubernetesObject>, object: KubernetesObject, signal: AbortSignal): Promise<Kept> {
    const ask = this.#askOf(objects, object);
    const drained = await this.#reconciler.drain(ask, signal);
    if (drained.kind === "waiting") {
      const { reason, message, waitMs } = drained;
      await this.#writeStatus(object, ask.status, { status: "False", reason, message }, signal);
      return { kind: "waiting", ...(waitMs === undefined ? {} : { waitMs }) };
    }
    const finalizers = object.metadata.finalizers!.filter((finalizer) => finalizer !== FINALIZER);
    await this.#replace("object", { ...object, metadata: { ...object.metadata, finalizers } }, signal);
    return { kind: "drained" };
  }

  #askOf(objects: ReadonlyMap<string, KubernetesObject>, { metadata, spec, status }: KubernetesObject): Ask<Spec, Status> {
    const deletedAt = Date.parse(metadata.deletionTimestamp ?? "");
    return {
      name: metadata.name,
      spec: this.#reconciler.readSpec(spec),
      status: this.#reconciler.readStatus(status),
      all: [...objects.values()],
      deletingMs: Number.isNaN(deletedAt) ? 0 : Math.max(0, this.#deps.clock.now() - deletedAt),
    };
  }

  /** Says in the status what went wrong, unless nobody should hear it: we are stopping, or lead no longer. */
  async #failed(object: KubernetesObject, error: unknown, signal: AbortSignal): Promise<Kept> {
    signal.throwIfAborted();
    this.#deps.assertLeading();
    if (isFault(error, "version_conflict")) throw error;
    const fault = toFault(error);
    const verdict: Verdict = { status: "False", reason: conditionReason(fault.reason), message: fault.message };
    await this.#writeStatus(object, this.#reconciler.readStatus(object.status), verdict, signal);
    return { kind: "failed", fault };
  }

  /** Writes nothing when it would say what is there already. */
  async #writeStatus(object: KubernetesObject, status: Status, verdict: Verdict, signal: AbortSignal): Promise<void> {
    const observedGeneration = object.metadata.generation ?? 0;
    const before = this.#reconciler.readStatus(object.status);
    const conditions = withReady(before.conditions ?? [], verdict, observedGeneration, this.#deps.clock.now());
    const after = { ...status, observedGeneration, conditions };
    if (canonical(before) !== canonical(after)) await this.#replace("status", { ...object, status: after }, signal);
  }

  async #replace(
    part: "object" | "status",
    object: Omit<KubernetesObject, "metadata"> & { readonly metadata: ObjectMetadata },
    signal: AbortSignal,
  ): Promise<void> {
    this.#deps.assertLeading();
    const { kind } = await this.#deps.api.replace(this.#reconciler.resource, part, object, signal);
    if (kind === "conflict") throw new Fault("version_conflict", `${object.metadata.name} was changed by somebody else first`);
  }
}

/** The same text for the same value, whatever the order of its fields. */
function canonical(value: unknown): string {
  return JSON.stringify(value, (_, field: unknown) =>
    typeof field === "object" && field !== null && !Array.isArray(field) ? Object.fromEntries(Object.entries(field).sort()) : field,
  );
}
