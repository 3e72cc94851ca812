import { Fault, type Snapshot, type TenantId } from "#kernel";
import { type AliasRecord, type Catalog, type DeltaRecord, deltaName, findDelta } from "../catalog/index.ts";
import type { Principal } from "../contract.ts";
import type { ModelDeps } from "./delta-publication.ts";
import { dropEverywhere, setPinned } from "./residency.ts";

/** A pin takes RAM on a node away from everyone else. */
const PINNED_PER_TENANT_MAX = 16;

/** A tenant's own; an operator's choice of tenant, or everyone's. */
export function listDeltas(catalog: Catalog, principal: Principal, tenantId: TenantId | undefined): readonly DeltaRecord[] {
  const owner = principal.tenantId ?? tenantId;
  return [...(owner === undefined ? catalog.view.all("delta") : catalog.view.of("delta", owner))];
}

/** By full name, alias of one delta, or digest. @throws Fault model_unknown, the same for one of someone else */
export function getDelta(catalog: Catalog, principal: Principal, name: string): DeltaRecord {
  const delta = findDelta(catalog.view, principal, name, onlyTarget);
  if (!delta) {
    throw new Fault("model_unknown", `the delta "${name}" does not exist or you do not have access to it`, { detail: { resource: name } });
  }
  return delta;
}

/** @throws Fault model_unknown, or what the node says that should hold it */
export async function pinDelta(
  deps: ModelDeps,
  principal: Principal,
  wish: { readonly name: string; readonly pinned: boolean },
  snapshot: Snapshot,
  signal: AbortSignal,
): Promise<DeltaRecord> {
  const delta = getDelta(deps.catalog, principal, wish.name);
  const others = [...deps.catalog.view.of("delta", delta.tenantId)].filter((other) => other.pinned && other.digest !== delta.digest);
  if (wish.pinned && others.length >= PINNED_PER_TENANT_MAX) {
    throw new Fault("rate_exceeded", `a tenant has at most ${PINNED_PER_TENANT_MAX} pinned deltas`, { retry: { kind: "never" } });
  }
  await setPinned(deps, snapshot, delta, wish.pinned, signal);
  return (
    (await deps.catalog.change("delta", delta.digest, (old) => ({ ...old, pinned: wish.pinned }))) ??
    getDelta(deps.catalog, principal, wish.name)
  );
}

/** Running requests end with it, new ones do not find it. @throws Fault model_unknown or resource_in_use */
export async function removeDelta(deps: ModelDeps, principal: Principal, name: string, snapshot: Snapshot): Promise<void> {
  const delta = getDelta(deps.catalog, principal, name);
  for (const alias of deps.catalog.view.of("alias", delta.tenantId)) {
    if (!alias.targets.some((target) => target.delta === delta.digest)) continue;
    const pointer = `${alias.tenantId}/${alias.name}`;
    throw new Fault("resource_in_use", `the alias ${pointer} points at ${deltaName(delta)}`, { detail: { resource: pointer } });
  }
  await deps.catalog.remove("delta", delta.digest);
  await deps.files.remove(delta.digest);
  dropEverywhere(deps, snapshot, delta);
}

/** A split stands for no delta in particular. */
function onlyTarget(alias: AliasRecord) {
  return alias.targets.length === 1 ? alias.targets[0]!.delta : undefined;
}
