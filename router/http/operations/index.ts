import type { FastifyInstance } from "fastify";
import { addAccountRoutes } from "./account-routes.ts";
import { addAdminRoutes } from "./admin-routes.ts";
import { addBillingRoutes } from "./billing-routes.ts";
import { addClusterRoutes } from "./cluster-routes.ts";
import { addDeltaRoutes } from "./delta-routes.ts";
import type { OperationDeps } from "./operation-deps.ts";

export type { OperationDeps } from "./operation-deps.ts";

/** What OpenAI's surface does not have: accounts, money, and the cluster. */
export function addOperationRoutes(server: FastifyInstance, deps: OperationDeps): void {
  server.register(async (scope) => {
    // Nobody between the router and its client keeps what is somebody's own.
    scope.addHook("onRequest", async (_request, reply) => void reply.header("cache-control", "private, no-cache"));
    addAccountRoutes(scope, deps);
    addBillingRoutes(scope, deps);
    addAdminRoutes(scope, deps);
    addClusterRoutes(scope, deps);
    addDeltaRoutes(scope, deps);
  });
}
