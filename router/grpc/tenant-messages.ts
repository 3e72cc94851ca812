import { Fault, formatUsd, parseUsd } from "#kernel";
import { type Budget, BudgetPeriod, type Key, type Limits, type Project, Scope, type Tenant } from "#proto";
import type { KeyRecord, ProjectRecord, TenantRecord } from "../catalog/index.ts";
import type { KeyScope } from "../contract.ts";

/** Tenants, projects and keys as the wire says them, and what the wire wishes for them as records have it. */

const SCOPES: Readonly<Record<KeyScope, Scope>> = { infer: Scope.SCOPE_INFER, train: Scope.SCOPE_TRAIN, admin: Scope.SCOPE_ADMIN };
const PERIODS = { month: BudgetPeriod.BUDGET_PERIOD_MONTH, ever: BudgetPeriod.BUDGET_PERIOD_EVER } as const;

/** Each limit's name on the wire. */
const LIMIT_FIELDS: Readonly<Record<keyof Limits, string>> = {
  requestsPerMinute: "requests_per_minute",
  inputTokensPerMinute: "input_tokens_per_minute",
  outputTokensPerMinute: "output_tokens_per_minute",
  concurrentRequests: "concurrent_requests",
  maxTokens: "max_tokens",
};
/** The store compares amounts as 64-bit numbers of nano-dollars; this is the largest that every language holds exactly. */
const BUDGET_NANO_MAX = BigInt(Number.MAX_SAFE_INTEGER);

export function tenantMessage(tenant: TenantRecord): Tenant {
  const { budget } = tenant;
  return {
    id: tenant.id,
    createdAtMs: tenant.createdAt,
    limits: { ...tenant.limits },
    budget: budget && { usd: formatUsd(BigInt(budget.nanoUsd)), period: PERIODS[budget.period] },
    pricePlan: tenant.pricePlan,
    suspendedAtMs: tenant.suspendedAt ?? 0,
  };
}

export function projectMessage({ id, tenantId, createdAt }: ProjectRecord): Project {
  return { id, tenantId, createdAtMs: createdAt };
}

export function keyMessage(key: KeyRecord, lastUsedAt: number | undefined): Key {
  return {
    id: key.id,
    tenantId: key.tenantId ?? "",
    scopes: key.scopes.map((scope) => SCOPES[scope]),
    createdAtMs: key.createdAt,
    expiresAtMs: key.expiresAt ?? 0,
    revoked: key.revokedAt !== undefined,
    projectId: key.tenantId === undefined ? "" : key.projectId,
    name: key.name,
    lastUsedAtMs: lastUsedAt ?? 0,
  };
}

/** @throws Fault parameter_invalid */
export function scopeOf(message: Scope, index: number): KeyScope {
  const scope = (Object.keys(SCOPES) as KeyScope[]).find((name) => SCOPES[name] === message);
  if (!scope) throw invalid(`scopes[${index}]`, `scopes[${index}] is no scope`);
  return scope;
}

/** @throws Fault parameter_invalid for a limit of 0, which would lock out by the back door */
export function limitsOf(message: Limits): TenantRecord["limits"] {
  const set = (Object.keys(LIMIT_FIELDS) as (keyof Limits)[]).filter((name) => message[name] !== undefined);
  for (const name of set) {
    const field = `limits.${LIMIT_FIELDS[name]}`;
    if (message[name] === 0)
      throw invalid(field, `${field} must be at least 1: leave it out for no limit, suspend the tenant for no access`);
  }
  return Object.fromEntries(set.map((name) => [name, message[name]]));
}

/** @throws Fault parameter_invalid */
export function budgetOf(message: Budget): NonNullable<TenantRecord["budget"]> {
  const amount = parseUsd(message.usd, "budget.usd");
  if (amount < 0n || amount > BUDGET_NANO_MAX) {
    throw invalid("budget.usd", `budget.usd is "${message.usd}"; it must be from 0 to ${formatUsd(BUDGET_NANO_MAX)}`);
  }
  const period = (["month", "ever"] as const).find((name) => PERIODS[name] === message.period);
  if (!period) throw invalid("budget.period", "budget.period is missing: of each month, or once and for all");
  return { nanoUsd: amount.toString(), period };
}

export function invalid(field: string, message: string): Fault<"parameter_invalid"> {
  return new Fault("parameter_invalid", message, { detail: { field } });
}
