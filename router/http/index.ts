export { type ConsoleFiles, readConsole } from "./console-routes.ts";
export { type HttpServerDeps, type HttpServerOptions, type RunningHttpServer, startHttpServer } from "./http-server.ts";
export type { OperationDeps } from "./operations/index.ts";
export { HTTP_ROUTES, type HttpRoute, type RouteScope } from "./routes.ts";
