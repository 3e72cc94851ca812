export { type HttpServerDeps, type HttpServerOptions, type RunningHttpServer, startHttpServer } from "./http-server.ts";
