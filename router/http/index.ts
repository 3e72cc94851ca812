export { readConsole } from "./console-routes.ts";
export { startHttpServer } from "./http-server.ts";
export { HTTP_ROUTES, type HttpRoute, type RouteScope } from "./routes.ts";
