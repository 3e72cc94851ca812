import { type BaseDigest, type DeltaDigest, Fault, type RequestId, sha256Hex, type TenantId } from "#kernel";
import type { Principal } from "../contract.ts";
import type { BaseDirectory } from "./base-directory.ts";
import { aliasName, deltaName } from "./model-name.ts";
import type { AliasRecord, DeltaRecord } from "./record-shapes.ts";
import type { CatalogView } from "./view.ts";

/** Says which delta on which base, by content. */
export interface DeltaReference {
  readonly digest: DeltaDigest;
  readonly tenantId: TenantId;
  readonly baseDigest: BaseDigest;
}

/** What a model name stands for, for one request. */
export interface Target {
  /** The full name: a base's, or `ft:…`. */
  readonly model: string;
  readonly baseName: string;
  readonly baseDigest: BaseDigest;
  /** Undefined for the plain base. */
  readonly delta: DeltaReference | undefined;
  readonly deltaRank: number | undefined;
}

/** As much of a principal as decides what it sees. */
export type Viewer = Pick<Principal, "tenantId">;

export interface NameSources {
  readonly view: CatalogView;
  readonly bases: BaseDirectory;
}

/**
 * What `name` means to `principal`. A split alias sends a request where the hash of its id falls, so that every
 * attempt, on any router, goes the same way.
 * @throws Fault model_unknown, with one text for names that do not exist and names of others
 */
export function resolveModel(sources: NameSources, principal: Principal, name: string, requestId: RequestId): Target {
  const delta = findDelta(sources.view, principal, name, (alias) => choose(alias, requestId));
  const base = sources.bases.find(name);
  if (delta) return targetOf(delta);
  if (base) return { model: base.name, baseName: base.name, baseDigest: base.digest, delta: undefined, deltaRank: undefined };
  throw unknownModel(name);
}

/** The delta that `name` (full name, alias, or digest) means to `viewer`. All look-ups are made, whatever the first one gives. */
export function findDelta(
  view: CatalogView,
  viewer: Viewer,
  name: string,
  pick: (alias: AliasRecord) => DeltaDigest | undefined,
): DeltaRecord | undefined {
  const alias = view.get("alias", name);
  const found = view.deltaNamed(name) ?? view.get("delta", (alias && pick(alias)) ?? name);
  return found && mayUse(viewer, found.tenantId) ? found : undefined;
}

/** Operators see everything; everyone else what is theirs. */
export function mayUse(viewer: Viewer, owner: TenantId): boolean {
  return viewer.tenantId === undefined || viewer.tenantId === owner;
}

export function targetOf(delta: DeltaRecord): Target {
  const { digest, tenantId, baseDigest, baseName, rank } = delta;
  return { model: deltaName(delta), baseName, baseDigest, delta: { digest, tenantId, baseDigest }, deltaRank: rank };
}

export function unknownModel(name: string): Fault<"model_unknown"> {
  return new Fault("model_unknown", `the model "${name}" does not exist or you do not have access to it`, { detail: { resource: name } });
}

/** By weight, from the hash of the alias and the request's id: 48 bits are uniform enough for weights below 2^32. */
export function choose(alias: AliasRecord, requestId: RequestId): DeltaDigest {
  const total = alias.targets.reduce((sum, target) => sum + target.weight, 0);
  const point = (Number.parseInt(sha256Hex(`${aliasName(alias)} ${requestId}`).slice(0, 12), 16) / 2 ** 48) * total;
  let passed = 0;
  for (const target of alias.targets) {
    passed += target.weight;
    if (point < passed) return target.delta;
  }
  return alias.targets.at(-1)!.delta;
}
