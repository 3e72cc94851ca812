import { isFault, MINUTE, type Millis, SECOND } from "#kernel";
import { AdminServiceService, type Delta, ModelServiceService, type PushDeltaRequest } from "#proto";
import { DELTAS, DeltaSpec, DeltaStatus, PUBLISHED_MAX } from "../custom-resources/delta.ts";
import type { Ask, DeltaSource, Doors, OpenDeltaSource, Reconciled, Reconciler } from "./contract.ts";
import { rivalOf } from "./rival-delta.ts";

const CALL_MS_MAX: Millis = 10 * SECOND;
/** A switch waits until the new delta is resident where the old one was, at most half a minute. */
const SWITCH_MS_MAX: Millis = 45 * SECOND;
const PUSH_MS_MAX: Millis = 5 * MINUTE;
/** How often a draining delta's users are counted, and how long they are waited for: some may call it by its full name for ever. */
const USERS_EVERY_MS: Millis = 2 * SECOND;
const USERS_MS_MAX: Millis = 5 * MINUTE;

/**
 * A Delta is the alias `<tenant>/<name>` and what it points at. It publishes its source once, and points the alias back
 * at it when somebody moved it. Deleting it takes the alias away first, waits for the requests that run, and then
 * removes what it published.
 */
export function createDeltaReconciler(doors: Doors, open: OpenDeltaSource): Reconciler<DeltaSpec, DeltaStatus> {
  return {
    resource: DELTAS,
    readSpec: (spec) => DeltaSpec.parse(spec),
    readStatus: (status) => DeltaStatus.safeParse(status ?? {}).data ?? {},
    async apply(ask, signal) {
      const rival = rivalOf(ask);
      if (rival !== undefined) {
        const message = `${ask.spec.tenant}/${ask.spec.name} belongs to the Delta ${rival}, which is older`;
        return { kind: "waiting", status: ask.status, reason: "NameTaken", message };
      }
      return publish(doors, open, ask, signal);
    },
    async drain({ spec, status, deletingMs, ...ask }, signal) {
      if (rivalOf({ spec, ...ask }) !== undefined) return { kind: "drained" };
      const published = status.published ?? [];
      await removeAlias(doors, spec, published, signal);
      const users = deletingMs < USERS_MS_MAX ? await countUsers(doors, new Set(published), signal) : 0;
      if (users > 0) return { kind: "waiting", reason: "Draining", message: "requests still run with it", waitMs: USERS_EVERY_MS };
      for (const model of published) {
        const inUse = await removeDelta(doors, model, signal);
        if (inUse !== undefined) return { kind: "waiting", reason: "ResourceInUse", message: inUse };
      }
      return { kind: "drained" };
    },
  };
}

async function publish(
  doors: Doors,
  open: OpenDeltaSource,
  { spec, status }: Ask<DeltaSpec, DeltaStatus>,
  signal: AbortSignal,
): Promise<Reconciled<DeltaStatus>> {
  const { path, url } = spec.source;
  const source = path ?? url!;
  const known = status.source === source && status.model !== undefined ? await find(doors, status.model, signal) : undefined;
  const delta = known ?? (await push(doors, open(path === undefined ? { url: url! } : { path }), spec, signal));
  if (known) await pointAlias(doors, spec, known.name, signal);
  if (delta.pinned !== (spec.pinned ?? false)) {
    const wish = { name: delta.name, pinned: spec.pinned ?? false };
    await doors.router.unary(ModelServiceService.pinDelta, wish, { signal, timeoutMs: SWITCH_MS_MAX });
  }
  const published = [...(status.published ?? []).filter((model) => model !== delta.name), delta.name];
  while (published.length > PUBLISHED_MAX && (await removeDelta(doors, published[0]!, signal)) === undefined) published.shift();
  return {
    kind: "ready",
    status: { ...status, model: delta.name, digest: delta.reference!.digest, source, published: published.slice(-PUBLISHED_MAX) },
    message: `${spec.tenant}/${spec.name} is ${delta.name}`,
  };
}

/** By full name, alias of one delta, or digest. */
async function find({ router }: Doors, name: string, signal: AbortSignal): Promise<Delta | undefined> {
  try {
    return (await router.unary(ModelServiceService.getDelta, { name }, { signal, timeoutMs: CALL_MS_MAX })).delta;
  } catch (error) {
    if (isFault(error, "model_unknown")) return undefined;
    throw error;
  }
}

/** Uploads it, which points the alias at it: the same content again is the same delta. */
async function push({ router }: Doors, source: DeltaSource, { base, name, tenant }: DeltaSpec, signal: AbortSignal): Promise<Delta> {
  const parts = async function* (): AsyncGenerator<PushDeltaRequest> {
    yield { part: { $case: "header", value: { base, name, tenantId: tenant } } };
    for await (const value of source.config(signal)) yield { part: { $case: "config", value: Buffer.from(value) } };
    for await (const value of source.weights(signal)) yield { part: { $case: "weights", value: Buffer.from(value) } };
  };
  return (await router.clientStream(ModelServiceService.pushDelta, parts(), { signal, timeoutMs: PUSH_MS_MAX })).delta!;
}

async function pointAlias(doors: Doors, { tenant, name }: DeltaSpec, model: string, signal: AbortSignal): Promise<void> {
  const alias = `${tenant}/${name}`;
  if ((await find(doors, alias, signal))?.name === model) return;
  const wish = { alias: { name: alias, targets: [{ delta: model, weight: 1 }], previous: [] } };
  await doors.router.unary(ModelServiceService.setAlias, wish, { signal, timeoutMs: SWITCH_MS_MAX });
}

/** Unless it points elsewhere by now: then it is somebody else's. */
async function removeAlias(doors: Doors, { tenant, name }: DeltaSpec, published: readonly string[], signal: AbortSignal): Promise<void> {
  const alias = `${tenant}/${name}`;
  const target = await find(doors, alias, signal);
  if (!target || !published.includes(target.name)) return;
  try {
    await doors.router.unary(ModelServiceService.removeAlias, { name: alias }, { signal, timeoutMs: CALL_MS_MAX });
  } catch (error) {
    if (!isFault(error, "resource_unknown")) throw error;
  }
}

/** Requests that run with one of the deltas, over all nodes. */
async function countUsers({ admin }: Doors, models: ReadonlySet<string>, signal: AbortSignal): Promise<number> {
  const { nodes } = await admin.unary(AdminServiceService.getCluster, {}, { signal, timeoutMs: CALL_MS_MAX });
  let users = 0;
  for (const { view, deltaNames } of nodes) {
    for (const { digest, references } of view?.deltas ?? []) if (models.has(deltaNames[digest] ?? "")) users += references;
  }
  return users;
}

/** What still refers to it; undefined when it is gone. */
async function removeDelta({ router }: Doors, name: string, signal: AbortSignal): Promise<string | undefined> {
  try {
    await router.unary(ModelServiceService.removeDelta, { name }, { signal, timeoutMs: CALL_MS_MAX });
  } catch (error) {
    if (isFault(error, "resource_in_use")) return error.message;
    if (!isFault(error, "model_unknown")) throw error;
  }
  return undefined;
}
