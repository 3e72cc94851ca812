import { asTenantId, type Clock, Fault, NAME_PATTERN, type TenantId } from "#kernel";
import type { Catalog, CatalogView, TenantRecord } from "../catalog/index.ts";
import type { Principal } from "../contract.ts";

/** Words that stand for somebody else in bills and lists. */
const RESERVED = new Set(["operator", "base"]);

/** @throws Fault parameter_invalid or resource_exists */
export async function createTenant(catalog: Catalog, clock: Clock, id: string): Promise<TenantRecord> {
  if (!NAME_PATTERN.test(id) || RESERVED.has(id)) {
    throw new Fault("parameter_invalid", `the tenant id "${id}" is reserved or does not match ${NAME_PATTERN.source}`, {
      detail: { field: "id" },
    });
  }
  const created = await catalog.create("tenant", id, { id: asTenantId(id), createdAt: clock.now() });
  if (!created) throw new Fault("resource_exists", `the tenant ${id} exists`, { detail: { resource: id } });
  return created;
}

/** On whose behalf: a tenant on its own, an operator on that of the tenant it names. @throws Fault parameter_invalid or resource_unknown */
export function tenantFor(view: CatalogView, principal: Principal, named: string): TenantId {
  if (principal.tenantId !== undefined) {
    if (named !== "" && named !== principal.tenantId) throw unknownTenant(named);
    return principal.tenantId;
  }
  if (named === "") throw new Fault("parameter_invalid", "tenant_id is missing: say on whose behalf", { detail: { field: "tenant_id" } });
  const tenant = view.get("tenant", named);
  if (!tenant) throw unknownTenant(named);
  return tenant.id;
}

function unknownTenant(id: string): Fault {
  return new Fault("resource_unknown", `the tenant "${id}" does not exist or you do not have access to it`, { detail: { resource: id } });
}
