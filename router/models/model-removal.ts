import { Fault } from "#kernel";
import type { Principal } from "../contract.ts";
import { removeAlias } from "./aliases.ts";
import type { ModelDeps } from "./delta-publication.ts";
import { removeDelta } from "./deltas.ts";

/**
 * Removes what a tenant calls by a name: an alias (what it points at stays), or a delta.
 * @throws Fault model_unknown, also for someone else's; resource_in_use for a delta with an alias; scope_missing for a base
 */
export async function removeModel(deps: ModelDeps, principal: Principal, name: string): Promise<void> {
  if (deps.catalog.view.own("alias", principal.tenantId, name)) return removeAlias(deps.catalog, principal, name);
  if (deps.names.bases.find(name)) {
    const message = `the model ${name} is a base, which all tenants share: it is removed by an operator, with \`bases rm\``;
    throw new Fault("scope_missing", message, { detail: { resource: name } });
  }
  await removeDelta(deps, principal, name, deps.snapshot());
}
