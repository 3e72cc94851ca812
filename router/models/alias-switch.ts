import { isDeepStrictEqual } from "node:util";
import { Fault, type TenantId } from "#kernel";
import { type AliasRecord, aliasName, type CatalogView, type DeltaRecord, unknownModel } from "../catalog/index.ts";
import type { ModelDeps } from "./delta-publication.ts";
import { followResidency } from "./follow-residency.ts";
import { warmUp } from "./residency.ts";

/** Names are cheap, but each is in every router's memory. */
const ALIASES_PER_TENANT_MAX = 10_000;
/** What it pointed at before: as far back as one goes by hand. */
const PREVIOUS_MAX = 10;

interface AliasPlace {
  readonly tenantId: TenantId;
  readonly name: string;
}

type Targets = AliasRecord["targets"];

/**
 * Points an alias at other deltas, once they are resident where the present ones are; what it pointed at is remembered.
 * A new alias has no traffic to look after: its deltas are warmed without waiting. The same targets again change nothing.
 * @throws what {@link followResidency} does, version_conflict when somebody else changed it meanwhile; then nothing is switched
 */
export async function pointAlias(deps: ModelDeps, place: AliasPlace, targets: Targets, signal: AbortSignal): Promise<AliasRecord> {
  const { catalog, clock } = deps;
  const before = catalog.view.get("alias", aliasName(place));
  if (!before) return createAlias(deps, place, targets);
  if (isDeepStrictEqual(before.targets, targets)) return before;
  const previous = [{ targets: before.targets, until: clock.now() }, ...before.previous].slice(0, PREVIOUS_MAX);
  return switchAlias(deps, before, { ...before, targets, previous }, signal);
}

/** Points it back at what it pointed at before the last change. @throws Fault resource_unknown when there is nothing to go back to */
export async function pointBack(deps: ModelDeps, before: AliasRecord, signal: AbortSignal): Promise<AliasRecord> {
  const [last, ...previous] = before.previous;
  if (!last) {
    const resource = aliasName(before);
    throw new Fault("resource_unknown", `the alias ${resource} never pointed at anything else`, { detail: { resource } });
  }
  return switchAlias(deps, before, { ...before, targets: last.targets, previous }, signal);
}

async function createAlias(deps: ModelDeps, place: AliasPlace, targets: Targets): Promise<AliasRecord> {
  const { catalog, clock } = deps;
  if ([...catalog.view.of("alias", place.tenantId)].length >= ALIASES_PER_TENANT_MAX) {
    throw new Fault("rate_exceeded", `a tenant has at most ${ALIASES_PER_TENANT_MAX} aliases`, { retry: { kind: "never" } });
  }
  const deltas = deltasOf(catalog.view, targets);
  const record: AliasRecord = { ...place, targets, createdAt: clock.now(), previous: [] };
  const created = await catalog.create("alias", aliasName(place), record);
  if (!created) throw changedMeanwhile(record);
  for (const delta of deltas) warmUp(deps, delta);
  return created;
}

async function switchAlias(deps: ModelDeps, before: AliasRecord, next: AliasRecord, signal: AbortSignal): Promise<AliasRecord> {
  const { view } = deps.catalog;
  const present = before.targets.map((target) => target.delta);
  await followResidency(deps, present, deltasOf(view, next.targets), signal);
  const switched = await deps.catalog.change("alias", aliasName(before), (now) => {
    if (!isDeepStrictEqual(now, before)) throw changedMeanwhile(before);
    deltasOf(view, next.targets); // They may have been removed while they were loaded.
    return next;
  });
  if (!switched) throw changedMeanwhile(before);
  return switched;
}

/** @throws Fault model_unknown for one that was removed */
function deltasOf(view: CatalogView, targets: Targets): readonly DeltaRecord[] {
  return targets.map(({ delta: digest }) => {
    const delta = view.get("delta", digest);
    if (!delta) throw unknownModel(digest);
    return delta;
  });
}

function changedMeanwhile(alias: AliasPlace): Fault {
  const resource = aliasName(alias);
  return new Fault("version_conflict", `somebody else changed the alias ${resource} meanwhile`, { detail: { resource } });
}
