export { type HttpServerDeps, type HttpServerOptions, type RunningHttpServer, startHttpServer } from "./http-server.ts";
export { HTTP_ROUTES, type HttpRoute, type RouteScope } from "./routes.ts";
