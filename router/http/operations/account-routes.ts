import type { FastifyInstance } from "fastify";
import { z } from "zod";
import { formatUsd } from "#kernel";
import { type TenantSpending, tenantSpending } from "../../billing/index.ts";
import { STANDARD_PLAN, type TenantRecord } from "../../catalog/index.ts";
import type { Principal } from "../../contract.ts";
import { tenantFor, tenantNamed, tenantOrAll } from "../../keys/index.ts";
import { priceVersionAt } from "../../prices/index.ts";
import { priceListShape } from "./billing-shape.ts";
import type { OperationDeps } from "./operation-deps.ts";
import { parsed, tenantId } from "./query.ts";

const Whose = z.object({ tenant_id: tenantId });

/** `/v1/account`: who the caller is, what it may spend and has spent, and what tokens cost it now. */
export function addAccountRoutes(server: FastifyInstance, deps: OperationDeps): void {
  const { view } = deps.catalog;

  server.get("/v1/account", async ({ principal }) => accountShape(deps, principal));

  server.get("/v1/account/spending", async ({ principal, query }) => {
    const tenant = tenantNamed(view, tenantFor(view, principal, parsed(Whose, query).tenant_id));
    return spendingShape(tenant, await tenantSpending(deps, tenant));
  });

  server.get("/v1/account/prices", async ({ principal, query }) => {
    const whose = tenantOrAll(view, principal, parsed(Whose, query).tenant_id);
    const plan = whose === undefined ? STANDARD_PLAN : tenantNamed(view, whose).pricePlan;
    const inForce = view.get("price", String(priceVersionAt(view, plan, deps.clock.now())));
    return { object: "account.prices", plan, price_list: inForce ? priceListShape(inForce) : null };
  });
}

function accountShape({ catalog }: OperationDeps, { keyId, tenantId: id, projectId, scopes }: Principal) {
  const key = catalog.view.get("key", keyId);
  return {
    object: "account",
    operator: scopes.has("admin"),
    key: {
      ...{ id: keyId, name: key?.name ?? "", scopes: [...scopes].sort(), expires_at_ms: key?.expiresAt ?? null },
      project_id: projectId ?? null,
    },
    tenant: id === undefined ? null : tenantShape(tenantNamed(catalog.view, id)),
  };
}

/** Limits that are not set are absent. */
export function tenantShape({ id, createdAt, limits, pricePlan, suspendedAt }: TenantRecord) {
  const { requestsPerMinute, inputTokensPerMinute, outputTokensPerMinute, concurrentRequests, maxTokens } = limits;
  return {
    ...{ id, created_at_ms: createdAt, price_plan: pricePlan, suspended_at_ms: suspendedAt ?? null },
    limits: {
      ...(requestsPerMinute !== undefined && { requests_per_minute: requestsPerMinute }),
      ...(inputTokensPerMinute !== undefined && { input_tokens_per_minute: inputTokensPerMinute }),
      ...(outputTokensPerMinute !== undefined && { output_tokens_per_minute: outputTokensPerMinute }),
      ...(concurrentRequests !== undefined && { concurrent_requests: concurrentRequests }),
      ...(maxTokens !== undefined && { max_tokens: maxTokens }),
    },
  };
}

/** Exact dollars, as text. */
export function spendingShape({ id, budget }: TenantRecord, { requestsRunning, held, spent }: TenantSpending) {
  const left = budget && BigInt(budget.nanoUsd) - spent - held;
  return {
    ...{ object: "account.spending", tenant_id: id, requests_running: requestsRunning },
    ...{ spent_usd: formatUsd(spent), held_usd: formatUsd(held), period: budget?.period ?? "month" },
    budget_usd: budget ? formatUsd(BigInt(budget.nanoUsd)) : null,
    left_usd: left === undefined ? null : formatUsd(left < 0n ? 0n : left),
  };
}
