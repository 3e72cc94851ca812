import type { Model } from "#proto";
import {
  type AliasRecord,
  aliasName,
  type DeltaRecord,
  deltaName,
  findDelta,
  type KnownBase,
  type NameSources,
  unknownModel,
} from "../catalog/index.ts";
import type { Principal } from "../contract.ts";

/** Every name that the principal may say: bases, its deltas and its aliases, an operator everyone's. */
export function listModels(names: NameSources, principal: Principal): readonly Model[] {
  const { view, bases } = names;
  const { tenantId } = principal;
  const deltas = tenantId === undefined ? view.all("delta") : view.of("delta", tenantId);
  const aliases = tenantId === undefined ? view.all("alias") : view.of("alias", tenantId);
  return [...bases.list().map(baseModel), ...[...deltas].map(deltaModel), ...[...aliases].map((alias) => aliasModel(names, alias))];
}

/** @throws Fault model_unknown, with one text for names that do not exist and names of others */
export function getModel(names: NameSources, principal: Principal, name: string): Model {
  const alias = names.view.own("alias", principal.tenantId, name);
  const delta = findDelta(names.view, principal, name, () => undefined);
  const base = names.bases.find(name);
  if (alias) return aliasModel(names, alias);
  if (delta) return deltaModel(delta);
  if (base) return baseModel(base);
  throw unknownModel(name);
}

function baseModel(base: KnownBase): Model {
  return { name: base.name, owner: "base", createdAtMs: base.createdAt, base: base.name, root: "" };
}

function deltaModel(delta: DeltaRecord): Model {
  return { name: deltaName(delta), owner: delta.tenantId, createdAtMs: delta.createdAt, base: delta.baseName, root: "" };
}

function aliasModel(names: NameSources, alias: AliasRecord): Model {
  const first = names.view.get("delta", alias.targets[0]!.delta);
  const root = first && alias.targets.length === 1 ? deltaName(first) : "";
  return { name: aliasName(alias), owner: alias.tenantId, createdAtMs: alias.createdAt, base: first?.baseName ?? "", root };
}
