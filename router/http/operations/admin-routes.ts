import type { FastifyInstance } from "fastify";
import { z } from "zod";
import { revenueReport, tenantSpending } from "../../billing/index.ts";
import { spendingShape, tenantShape } from "./account-routes.ts";
import { spanQuery } from "./billing-query.ts";
import { priceListShape, revenueShape } from "./billing-shape.ts";
import type { OperationDeps } from "./operation-deps.ts";
import { page, pageOf, parsed } from "./query.ts";

/** Of each the store is asked what it holds and has spent. */
const TENANTS_MAX = 100;
/** Never removed, so a cluster that changes prices daily has them all on one page for some years. */
const PRICE_LISTS_MAX = 1_000;

const TenantPage = z.object(page(TENANTS_MAX, TENANTS_MAX));
const PricePage = z.object(page(PRICE_LISTS_MAX, PRICE_LISTS_MAX));

/** `/v1/admin/tenants`, `/prices`, `/revenue`: an operator's view of everybody's money. */
export function addAdminRoutes(server: FastifyInstance, deps: OperationDeps): void {
  const { ledger, journal, clock } = deps;
  const { view } = deps.catalog;

  server.get("/v1/admin/tenants", async ({ query }) => {
    const wish = parsed(TenantPage, query);
    const all = [...view.all("tenant")].sort((one, other) => (one.id < other.id ? -1 : 1));
    const { data, has_more } = pageOf(all, wish, ({ id }) => id);
    const shapes = data.map(async (tenant) => ({
      ...tenantShape(tenant),
      spending: spendingShape(tenant, await tenantSpending(deps, tenant)),
    }));
    return { object: "list", total: all.length, data: await Promise.all(shapes), has_more };
  });

  server.get("/v1/admin/prices", async ({ query }) => {
    const lists = [...view.all("price")].sort((one, other) => other.version - one.version);
    const { data, has_more } = pageOf(lists, parsed(PricePage, query), ({ version }) => String(version));
    return { object: "list", data: data.map(priceListShape), has_more };
  });

  server.get("/v1/admin/revenue", async ({ query }) => {
    const period = spanQuery(query, clock.now());
    const report = await revenueReport({ ledger, journal, view }, period, clock.now());
    return { ...revenueShape(report), since_ms: period.since, until_ms: period.until };
  });
}
