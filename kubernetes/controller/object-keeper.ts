import { type Clock, Fault, isFault, type Millis, toFault } from "#kernel";
import type { KubernetesApi, KubernetesObject, ObjectMetadata } from "../api/contract.ts";
import { type Condition, conditionReason, type Verdict, withReady } from "../custom-resources/condition.ts";
import type { Ask, Reconciler } from "./contract.ts";

/** Ours is to drain an object before it goes; others may have finalizers of their own. */
export const FINALIZER = "deltaplane.dev/drain";

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
 * Brings one object and the catalogue together: finalizer first, so that nothing is made that is not taken down again;
 * then what the object says; then, only if it says something new, its status. Every write names the version that was
 * read: whoever is overtaken stops, and is called again by the change.
 */
export async function keepObject<Spec, Status extends StatusFields>(
  deps: KeeperDeps,
  reconciler: Reconciler<Spec, Status>,
  objects: ReadonlyMap<string, KubernetesObject>,
  name: string,
  signal: AbortSignal,
): Promise<Kept> {
  const object = objects.get(name);
  if (!object) return { kind: "absent" };
  const { metadata } = object;
  deps.assertLeading();
  if (metadata.deletionTimestamp !== undefined) {
    return metadata.finalizers?.includes(FINALIZER) ? letGo(deps, reconciler, objects, object, signal) : { kind: "absent" };
  }
  if (metadata.finalizers?.includes(FINALIZER)) return apply(deps, reconciler, objects, object, signal);
  const finalizers = [...(metadata.finalizers ?? []), FINALIZER];
  await replace(deps, reconciler, "object", { ...object, metadata: { ...metadata, finalizers } }, signal);
  return { kind: "waiting" }; // For the news of our own change, with which it goes on.
}

async function apply<Spec, Status extends StatusFields>(
  deps: KeeperDeps,
  reconciler: Reconciler<Spec, Status>,
  objects: ReadonlyMap<string, KubernetesObject>,
  object: KubernetesObject,
  signal: AbortSignal,
): Promise<Kept> {
  const status = reconciler.readStatus(object.status);
  try {
    const done = await reconciler.apply(askOf(deps, reconciler, objects, object), signal);
    const verdict: Verdict =
      done.kind === "ready"
        ? { status: "True", reason: "Reconciled", message: done.message }
        : { status: "False", reason: done.reason, message: done.message };
    await writeStatus(deps, reconciler, object, done.status, verdict, signal);
    return { kind: done.kind };
  } catch (error) {
    return failed(deps, reconciler, object, status, error, signal);
  }
}

async function letGo<Spec, Status extends StatusFields>(
  deps: KeeperDeps,
  reconciler: Reconciler<Spec, Status>,
  objects: ReadonlyMap<string, KubernetesObject>,
  object: KubernetesObject,
  signal: AbortSignal,
): Promise<Kept> {
  const status = reconciler.readStatus(object.status);
  try {
    const drained = await reconciler.drain(askOf(deps, reconciler, objects, object), signal);
    if (drained.kind === "waiting") {
      const { reason, message, waitMs } = drained;
      await writeStatus(deps, reconciler, object, status, { status: "False", reason, message }, signal);
      return { kind: "waiting", ...(waitMs === undefined ? {} : { waitMs }) };
    }
    const finalizers = object.metadata.finalizers!.filter((finalizer) => finalizer !== FINALIZER);
    await replace(deps, reconciler, "object", { ...object, metadata: { ...object.metadata, finalizers } }, signal);
    return { kind: "drained" };
  } catch (error) {
    return failed(deps, reconciler, object, status, error, signal);
  }
}

function askOf<Spec, Status>(
  { clock }: KeeperDeps,
  reconciler: Reconciler<Spec, Status>,
  objects: ReadonlyMap<string, KubernetesObject>,
  { metadata, spec, status }: KubernetesObject,
): Ask<Spec, Status> {
  const deletedAt = Date.parse(metadata.deletionTimestamp ?? "");
  return {
    name: metadata.name,
    spec: reconciler.readSpec(spec),
    status: reconciler.readStatus(status),
    all: [...objects.values()],
    deletingMs: Number.isNaN(deletedAt) ? 0 : Math.max(0, clock.now() - deletedAt),
  };
}

/** Says in the status what went wrong, unless nobody should hear it: we are stopping, or lead no longer. */
async function failed<Spec, Status extends StatusFields>(
  deps: KeeperDeps,
  reconciler: Reconciler<Spec, Status>,
  object: KubernetesObject,
  status: Status,
  error: unknown,
  signal: AbortSignal,
): Promise<Kept> {
  signal.throwIfAborted();
  deps.assertLeading();
  if (isFault(error, "version_conflict")) throw error;
  const fault = toFault(error);
  const verdict: Verdict = { status: "False", reason: conditionReason(fault.reason), message: fault.message };
  await writeStatus(deps, reconciler, object, status, verdict, signal);
  return { kind: "failed", fault };
}

/** Writes nothing when it would say what is there already. */
async function writeStatus<Spec, Status extends StatusFields>(
  deps: KeeperDeps,
  reconciler: Reconciler<Spec, Status>,
  object: KubernetesObject,
  status: Status,
  verdict: Verdict,
  signal: AbortSignal,
): Promise<void> {
  const observedGeneration = object.metadata.generation ?? 0;
  const before = reconciler.readStatus(object.status);
  const conditions = withReady(before.conditions ?? [], verdict, observedGeneration, deps.clock.now());
  const after = { ...status, observedGeneration, conditions };
  if (canonical(before) !== canonical(after)) await replace(deps, reconciler, "status", { ...object, status: after }, signal);
}

async function replace(
  deps: KeeperDeps,
  { resource }: Pick<Reconciler<unknown, unknown>, "resource">,
  part: "object" | "status",
  object: Omit<KubernetesObject, "metadata"> & { readonly metadata: ObjectMetadata },
  signal: AbortSignal,
): Promise<void> {
  deps.assertLeading();
  const { kind } = await deps.api.replace(resource, part, object, signal);
  if (kind === "conflict") throw new Fault("version_conflict", `${object.metadata.name} was changed by somebody else first`);
}

/** The same text for the same value, whatever the order of its fields. */
function canonical(value: unknown): string {
  return JSON.stringify(value, (_, field: unknown) =>
    typeof field === "object" && field !== null && !Array.isArray(field) ? Object.fromEntries(Object.entries(field).sort()) : field,
  );
}
