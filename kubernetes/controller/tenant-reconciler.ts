import { isFault, type Millis, parseUsd, SECOND } from "#kernel";
import { AdminServiceService, type Budget, BudgetPeriod, type Tenant as TenantMessage, type UpdateTenantRequest } from "#proto";
import { TENANTS, TenantSpec, TenantStatus } from "../custom-resources/tenant.ts";
import type { Doors, Reconciler } from "./contract.ts";

const CALL_MS_MAX: Millis = 10 * SECOND;
const PERIODS = { Month: BudgetPeriod.BUDGET_PERIOD_MONTH, Ever: BudgetPeriod.BUDGET_PERIOD_EVER } as const;

type Limits = NonNullable<TenantSpec["limits"]>;

/**
 * A Tenant is a tenant of the catalogue, whose limits and budget are the object's. Its books stay for ever: deleting the
 * object suspends it.
 */
export function createTenantReconciler({ admin }: Doors): Reconciler<TenantSpec, TenantStatus> {
  return {
    resource: TENANTS,
    readSpec: (spec) => TenantSpec.parse(spec),
    readStatus: (status) => TenantStatus.safeParse(status ?? {}).data ?? {},

    async apply({ name: id, spec, status }, signal) {
      const call = { signal, timeoutMs: CALL_MS_MAX };
      let tenant = await find(id, signal);
      const change = changeOf(tenant, spec);
      if (change) tenant = (await admin.unary(AdminServiceService.updateTenant, { ...change, id }, call)).tenant!;
      if (spec.suspended === true && tenant.suspendedAtMs === 0) {
        tenant = (await admin.unary(AdminServiceService.suspendTenant, { id }, call)).tenant!;
      }
      if (spec.suspended === false && tenant.suspendedAtMs !== 0) {
        tenant = (await admin.unary(AdminServiceService.resumeTenant, { id }, call)).tenant!;
      }
      const now = { ...status, suspended: tenant.suspendedAtMs !== 0 };
      if (!now.suspended || spec.suspended === true) return { kind: "ready", status: now, message: "limits, budget and plan are in force" };
      const message = "an operator suspended it, or its object was deleted once: spec.suspended: false resumes it";
      return { kind: "waiting", status: now, reason: "Suspended", message };
    },

    async drain({ name: id }, signal) {
      try {
        await admin.unary(AdminServiceService.suspendTenant, { id }, { signal, timeoutMs: CALL_MS_MAX });
      } catch (error) {
        if (!isFault(error, "resource_unknown")) throw error;
      }
      return { kind: "drained" };
    },
  };

  async function find(id: string, signal: AbortSignal): Promise<TenantMessage> {
    const call = { signal, timeoutMs: CALL_MS_MAX };
    try {
      return (await admin.unary(AdminServiceService.getTenant, { id }, call)).tenant!;
    } catch (error) {
      if (!isFault(error, "resource_unknown")) throw error;
    }
    return (await admin.unary(AdminServiceService.createTenant, { id }, call)).tenant!;
  }
}

/** What must change for the tenant to be as the object says; undefined when it is. */
function changeOf(tenant: TenantMessage, spec: TenantSpec): Omit<UpdateTenantRequest, "id"> | undefined {
  const limits = sameLimits(tenant.limits ?? {}, spec.limits ?? {}) ? undefined : (spec.limits ?? {});
  const wanted: Budget | undefined = spec.budget && { usd: spec.budget.usd, period: PERIODS[spec.budget.period] };
  const budget = sameBudget(tenant.budget, wanted) ? undefined : wanted;
  const removeBudget = tenant.budget !== undefined && wanted === undefined;
  const pricePlan = spec.pricePlan === undefined || spec.pricePlan === tenant.pricePlan ? "" : spec.pricePlan;
  if (!limits && !budget && !removeBudget && pricePlan === "") return undefined;
  return { limits, budget, removeBudget, pricePlan };
}

function sameLimits(one: { readonly [limit in keyof Limits]?: number | undefined }, other: Limits): boolean {
  const names = Object.keys({ ...one, ...other }) as (keyof Limits)[];
  return names.every((name) => one[name] === other[name]);
}

function sameBudget(one: Budget | undefined, other: Budget | undefined): boolean {
  if (!one || !other) return one === other;
  return one.period === other.period && parseUsd(one.usd, "budget.usd") === parseUsd(other.usd, "spec.budget.usd");
}
