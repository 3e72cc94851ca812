import type { FastifyInstance } from "fastify";
import { Fault } from "#kernel";
import { bearerToken } from "#proto";
import type { InferenceCore, Principal } from "../contract.ts";
import { checkScope, routeRule } from "./routes.ts";

declare module "fastify" {
  interface FastifyRequest {
    /** Who asks. Set before the body is read, on every route that is not public. */
    principal: Principal;
  }
}

/**
 * Puts the rule of each route before it, and before its body is read: nobody without a key makes us parse anything.
 * A route without a rule can't be added.
 */
export function guardRoutes(server: FastifyInstance, authenticate: InferenceCore["authenticate"]): void {
  server.addHook("onRoute", ({ method, url }) => {
    for (const each of [method].flat()) {
      if (!routeRule(each, url)) throw new Fault("bug", `the route ${each} ${url} has no rule: add it to HTTP_ROUTES`);
    }
  });
  server.decorateRequest("principal");
  server.addHook("onRequest", async (request, reply) => {
    if (request.is404) return;
    const rule = routeRule(request.method, request.routeOptions.url ?? "");
    if (!rule) throw new Fault("bug", `the route ${request.method} ${request.url} has no rule`);
    if (rule.scope === "public") return;
    request.principal = await authenticate(bearerToken(request.headers.authorization));
    checkScope(request.principal, rule.scope);
    if (request.principal.tenantId !== undefined) reply.header("openai-organization", request.principal.tenantId);
  });
}
