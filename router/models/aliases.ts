import { Fault, NAME_PATTERN, type TenantId } from "#kernel";
import type { AliasTarget } from "#proto";
import { type AliasRecord, aliasName, type Catalog, findDelta, mayUse } from "../catalog/index.ts";
import type { Principal } from "../contract.ts";
import { pointAlias, pointBack } from "./alias-switch.ts";
import type { ModelDeps } from "./delta-publication.ts";

/** A canary has two targets; an experiment a few more. */
const TARGETS_MAX = 16;

/** Sets an alias as its owner wishes; answers when the switch is made. @throws Fault resource_unknown, model_unknown or parameter_invalid; see {@link pointAlias} */
export async function setAlias(
  deps: ModelDeps,
  principal: Principal,
  wish: { readonly name: string; readonly targets: readonly AliasTarget[] },
  signal: AbortSignal,
): Promise<AliasRecord> {
  const place = parseAlias(deps.catalog, principal, wish.name);
  if (wish.targets.length === 0 || wish.targets.length > TARGETS_MAX) throw invalid("targets", `targets must be 1 to ${TARGETS_MAX}`);
  const targets = wish.targets.map((target, index) => readTarget(deps.catalog, place.tenantId, target, wish.targets.length === 1, index));
  if (new Set(targets.map((target) => target.delta)).size < targets.length) throw invalid("targets", "targets name one delta twice");
  return pointAlias(deps, place, targets, signal);
}

/** Undoes the last change of an alias; answers when the switch is made. @throws Fault resource_unknown, the same for an alias of someone else */
export async function rollBackAlias(deps: ModelDeps, principal: Principal, name: string, signal: AbortSignal): Promise<AliasRecord> {
  return pointBack(deps, ownAlias(deps.catalog, principal, name), signal);
}

export function listAliases(catalog: Catalog, principal: Principal): readonly AliasRecord[] {
  return [...(principal.tenantId === undefined ? catalog.view.all("alias") : catalog.view.of("alias", principal.tenantId))];
}

/** @throws Fault resource_unknown, the same for an alias of someone else */
export async function removeAlias(catalog: Catalog, principal: Principal, name: string): Promise<void> {
  await catalog.remove("alias", aliasName(ownAlias(catalog, principal, name)));
}

function ownAlias(catalog: Catalog, principal: Principal, name: string): AliasRecord {
  const alias = catalog.view.own("alias", principal.tenantId, name);
  if (!alias) throw unknownAlias(name);
  return alias;
}

function parseAlias(catalog: Catalog, principal: Principal, text: string): { readonly tenantId: TenantId; readonly name: string } {
  const [owner = "", name = "", ...more] = text.split("/");
  if (more.length > 0 || !NAME_PATTERN.test(owner) || !NAME_PATTERN.test(name)) {
    throw invalid("name", "an alias is called <tenant>/<name>, both of lower-case letters, digits and hyphens");
  }
  const tenant = catalog.view.get("tenant", owner);
  if (!tenant || !mayUse(principal, tenant.id)) throw unknownAlias(text);
  return { tenantId: tenant.id, name };
}

function readTarget(catalog: Catalog, owner: TenantId, target: AliasTarget, alone: boolean, index: number): AliasRecord["targets"][number] {
  const delta = findDelta(catalog.view, { tenantId: owner }, target.delta, () => undefined);
  if (!delta) {
    const detail = { field: `targets[${index}].delta`, resource: target.delta };
    throw new Fault("model_unknown", `the delta "${target.delta}" does not exist or is not the tenant's`, { detail });
  }
  // Nothing to weigh against: the wire's default of 0 means all of it.
  const weight = target.weight === 0 && alone ? 1 : target.weight;
  if (weight < 1) throw invalid(`targets[${index}].weight`, "a weight is at least 1");
  return { delta: delta.digest, weight };
}

function unknownAlias(name: string): Fault {
  return new Fault("resource_unknown", `the alias "${name}" does not exist or you do not have access to it`, {
    detail: { resource: name },
  });
}

function invalid(field: string, message: string): Fault {
  return new Fault("parameter_invalid", message, { detail: { field } });
}
