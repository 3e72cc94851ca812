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
 * @throws Fault model_unknown, with one text for names that do not exist and names of others; no_ready_node in its place
 * while there is no node, for a name may be of a base that only nodes know
 */
export function resolveModel(sources: NameSources, principal: Principal, name: string, requestId: RequestId): Target {
  const delta = findDelta(sources.view, principal, name, (alias) => choose(alias, requestId));
  const base = sources.bases.find(name);
  if (delta) return targetOf(delta);
  if (base) return { model: base.name, baseName: base.name, baseDigest: base.digest, delta: undefined, deltaRank: undefined };
  // A router that has just started, or a cluster that lost its nodes, must not send clients away for ever.
  if (!sources.bases.complete) throw new Fault("no_ready_node", "no node is ready yet; what models there are is not known");
  throw unknownModel(name);
}

/**
 * The delta that `name` (full name, alias, or digest) means to `viewer`. All look-ups are made, whatever the first one
 * gives, and what is someone else's is absent before anything is done with it: so it takes as long as what does not exist.
 */
export function findDelta(
  view: CatalogView,
  viewer: Viewer,
  name: string,
  pick: (alias: AliasRecord) => DeltaDigest | undefined,
): DeltaRecord | undefined {
  const alias = view.own("alias", viewer.tenantId, name);
  const pointed = view.own("delta", viewer.tenantId, (alias && pick(alias)) ?? name);
  return view.deltaNamed(viewer.tenantId, name) ?? pointed;
}

/** Operators see everything; everyone else what is theirs. */
export function mayUse(viewer: Viewer, owner: TenantId): boolean {
  return viewer.tenantId === undefined || viewer.tenantId === owner;
}

function targetOf(delta: DeltaRecord): Target {
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
