import { Fault } from "#kernel";
import type { Principal } from "../contract.ts";

/**
 * Who may ask for what: `infer` and `train` are scopes of a tenant's key (an operator's key has all), `key` is any key
 * that is good, `operator` an operator's, `public` needs none. A route that is not named here is refused when the server
 * starts, and a test asks each of them with every kind of key.
 *
 * Keys travel in a header that browsers never add by themselves, and nothing here reads a cookie: a page of somebody else
 * can't make a visitor's browser ask anything in the visitor's name, so there is no token against forged requests.
 */
export type RouteScope = "public" | "key" | "infer" | "train" | "operator";

export interface HttpRoute {
  readonly method: "GET" | "POST" | "DELETE";
  /** `:id` stands for one segment, `*` for the rest: names of models hold slashes and colons, raw or percent-encoded. */
  readonly path: string;
  readonly scope: RouteScope;
}

export const HTTP_ROUTES = [
  // The console: a page that knows nothing without a key.
  { method: "GET", path: "/", scope: "public" },
  { method: "GET", path: "/assets/:name", scope: "public" },

  { method: "GET", path: "/healthz", scope: "public" },
  { method: "GET", path: "/readyz", scope: "public" },

  { method: "POST", path: "/v1/completions", scope: "infer" },
  { method: "POST", path: "/v1/chat/completions", scope: "infer" },

  { method: "GET", path: "/v1/models", scope: "infer" },
  { method: "GET", path: "/v1/models/*", scope: "infer" },
  { method: "DELETE", path: "/v1/models/*", scope: "train" },

  // Also for reading: a file holds what a customer's own users wrote, and keys to infer are handed out widely.
  { method: "POST", path: "/v1/files", scope: "train" },
  { method: "GET", path: "/v1/files", scope: "train" },
  { method: "GET", path: "/v1/files/:id", scope: "train" },
  { method: "DELETE", path: "/v1/files/:id", scope: "train" },
  { method: "GET", path: "/v1/files/:id/content", scope: "train" },

  { method: "POST", path: "/v1/fine_tuning/preparations", scope: "train" },
  { method: "POST", path: "/v1/fine_tuning/jobs", scope: "train" },
  { method: "GET", path: "/v1/fine_tuning/jobs", scope: "train" },
  { method: "GET", path: "/v1/fine_tuning/jobs/:id", scope: "train" },
  { method: "POST", path: "/v1/fine_tuning/jobs/:id/cancel", scope: "train" },
  { method: "POST", path: "/v1/fine_tuning/jobs/:id/pause", scope: "train" },
  { method: "POST", path: "/v1/fine_tuning/jobs/:id/resume", scope: "train" },
  { method: "GET", path: "/v1/fine_tuning/jobs/:id/events", scope: "train" },
  { method: "GET", path: "/v1/fine_tuning/jobs/:id/checkpoints", scope: "train" },

  { method: "GET", path: "/v1/organization/usage/completions", scope: "infer" },
  { method: "GET", path: "/v1/organization/costs", scope: "infer" },

  // What OpenAI's surface does not tell, for the console: the same rules as the RPCs of the same name.
  { method: "GET", path: "/v1/account", scope: "key" },
  { method: "GET", path: "/v1/account/spending", scope: "infer" },
  { method: "GET", path: "/v1/account/prices", scope: "infer" },
  { method: "GET", path: "/v1/usage", scope: "infer" },
  { method: "GET", path: "/v1/invoices/:month", scope: "infer" },
  { method: "GET", path: "/v1/exports/:format", scope: "infer" },
  { method: "POST", path: "/v1/deltas/:id/pin", scope: "train" },
  { method: "POST", path: "/v1/deltas/:id/unpin", scope: "train" },

  // All of an operator's routes lie under one path, so that a proxy in front of customers can leave them out.
  { method: "GET", path: "/v1/admin/tenants", scope: "operator" },
  { method: "GET", path: "/v1/admin/prices", scope: "operator" },
  { method: "GET", path: "/v1/admin/revenue", scope: "operator" },
  { method: "GET", path: "/v1/admin/cluster", scope: "operator" },
  { method: "GET", path: "/v1/admin/nodes/:id/deltas", scope: "operator" },
  { method: "POST", path: "/v1/admin/nodes/:id/drain", scope: "operator" },
  { method: "POST", path: "/v1/admin/nodes/:id/undrain", scope: "operator" },
  { method: "POST", path: "/v1/admin/nodes/:id/evict", scope: "operator" },
  { method: "GET", path: "/v1/admin/deltas", scope: "operator" },
  { method: "GET", path: "/v1/admin/deltas/:id", scope: "operator" },
] as const satisfies readonly HttpRoute[];

/** The rule of a route as it was declared to the server; undefined for one without. */
export function routeRule(method: string, path: string): HttpRoute | undefined {
  return HTTP_ROUTES.find((route) => route.method === method && route.path === path);
}

/** Methods by which a path, as a client wrote it, may be asked; empty when there is no such path. */
export function methodsOf(path: string): readonly string[] {
  return HTTP_ROUTES.filter((route) => patternOf(route.path).test(path)).map((route) => route.method);
}

/** An operator's key has all scopes. @throws Fault scope_missing */
export function checkScope(principal: Principal, scope: Exclude<RouteScope, "public">): void {
  if (scope === "key" || principal.scopes.has("admin")) return;
  const wanted = scope === "operator" ? "admin" : scope;
  if (!principal.scopes.has(wanted)) throw new Fault("scope_missing", `the key may not do this: it needs the scope ${wanted}`);
}

function patternOf(path: string): RegExp {
  const escaped = path.replace(/[.+?^${}()|[\]\\]/g, "\\$&");
  return new RegExp(`^${escaped.replace(/:\w+/g, "[^/]+").replace("*", ".+")}$`);
}
