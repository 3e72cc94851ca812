import { asTenantId, type Clock, Fault, NAME_PATTERN, type TenantId } from "#kernel";
import { type Catalog, type CatalogView, STANDARD_PLAN, type TenantRecord } from "../catalog/index.ts";
import type { Principal } from "../contract.ts";

/** Words that stand for somebody else in bills and lists. */
const RESERVED = new Set(["operator", "base"]);

/** What may be changed of a tenant; what is absent stays. */
export interface TenantChange {
  readonly limits?: TenantRecord["limits"];
  /** `none` takes the budget away. */
  readonly budget?: NonNullable<TenantRecord["budget"]> | "none";
  readonly pricePlan?: string;
}

/** @throws Fault parameter_invalid or resource_exists */
export async function createTenant(catalog: Catalog, clock: Clock, id: string): Promise<TenantRecord> {
  if (!NAME_PATTERN.test(id) || RESERVED.has(id)) {
    throw new Fault("parameter_invalid", `the tenant id "${id}" is reserved or does not match ${NAME_PATTERN.source}`, {
      detail: { field: "id" },
    });
  }
  const record: TenantRecord = { id: asTenantId(id), createdAt: clock.now(), limits: {}, pricePlan: STANDARD_PLAN };
  const created = await catalog.create("tenant", id, record);
  if (!created) throw new Fault("resource_exists", `the tenant ${id} exists`, { detail: { resource: id } });
  return created;
}

/** @throws Fault resource_unknown, or parameter_invalid for a plan without any price list */
export async function changeTenant(catalog: Catalog, id: string, change: TenantChange): Promise<TenantRecord> {
  if (change.pricePlan !== undefined) checkPlan(catalog.view, change.pricePlan);
  return changed(catalog, id, ({ budget, ...old }) => ({
    ...old,
    ...(change.limits && { limits: change.limits }),
    ...(change.budget === undefined ? budget && { budget } : change.budget !== "none" && { budget: change.budget }),
    ...(change.pricePlan !== undefined && { pricePlan: change.pricePlan }),
  }));
}

/** From this moment its keys open nothing here, and what runs for it ends; elsewhere as soon as the change arrives. Idempotent. */
export function suspendTenant(catalog: Catalog, clock: Clock, id: string): Promise<TenantRecord> {
  return changed(catalog, id, (old) => ({ ...old, suspendedAt: old.suspendedAt ?? clock.now() }));
}

/** Idempotent. */
export function resumeTenant(catalog: Catalog, id: string): Promise<TenantRecord> {
  return changed(catalog, id, ({ suspendedAt: _, ...old }) => old);
}

/** @throws Fault resource_unknown */
export function tenantNamed(view: CatalogView, id: string): TenantRecord {
  const tenant = view.get("tenant", id);
  if (!tenant) throw unknownTenant(id);
  return tenant;
}

/** On whose behalf: a tenant on its own, an operator on that of the tenant it names. @throws Fault parameter_invalid or resource_unknown */
export function tenantFor(view: CatalogView, principal: Principal, named: string): TenantId {
  if (principal.tenantId !== undefined) {
    if (named !== "" && named !== principal.tenantId) throw unknownTenant(named);
    return principal.tenantId;
  }
  if (named === "") throw new Fault("parameter_invalid", "tenant_id is missing: say on whose behalf", { detail: { field: "tenant_id" } });
  return tenantNamed(view, named).id;
}

/** A tenant itself; of an operator the tenant it names, or undefined for all. @throws Fault resource_unknown */
export function tenantOrAll(view: CatalogView, principal: Principal, named: string): TenantId | undefined {
  return principal.tenantId === undefined && named === "" ? undefined : tenantFor(view, principal, named);
}

async function changed(catalog: Catalog, id: string, next: (old: TenantRecord) => TenantRecord): Promise<TenantRecord> {
  const tenant = await catalog.change("tenant", id, next);
  if (!tenant) throw unknownTenant(id);
  return tenant;
}

/** A plan that no price list is of would make everything free, by a typing error. */
function checkPlan(view: CatalogView, plan: string): void {
  if (plan === STANDARD_PLAN || view.all("price").some((price) => price.plan === plan)) return;
  throw new Fault("parameter_invalid", `price_plan is "${plan}", of which there is no price list`, { detail: { field: "price_plan" } });
}

function unknownTenant(id: string): Fault {
  return new Fault("resource_unknown", `the tenant "${id}" does not exist or you do not have access to it`, { detail: { resource: id } });
}
