import type { FastifyInstance } from "fastify";
import type { Clock } from "#kernel";
import type { Ledger } from "../ledger/index.ts";
import type { PriceLookup } from "../prices/index.ts";
import { costsPage, usagePage } from "./usage-page.ts";
import { COSTS_RULES, parsePageQuery, USAGE_RULES } from "./usage-query.ts";

export interface UsageRouteDeps {
  readonly clock: Clock;
  readonly ledger: Pick<Ledger, "usage" | "corrections" | "tenants">;
  readonly prices: PriceLookup;
}

/** OpenAI's usage and costs. An organization is a tenant; an operator's key is told the sums over all of them. */
export function addUsageRoutes(server: FastifyInstance, deps: UsageRouteDeps): void {
  const { clock, ledger } = deps;
  server.get("/v1/organization/usage/completions", async ({ principal, query }) =>
    usagePage(ledger, principal.tenantId, parsePageQuery(USAGE_RULES, query, clock.now())),
  );
  server.get("/v1/organization/costs", async ({ principal, query }) =>
    costsPage(deps, principal.tenantId, parsePageQuery(COSTS_RULES, query, clock.now())),
  );
}
