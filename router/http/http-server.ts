import type { AddressInfo, Socket } from "node:net";
import type { Server as TlsServer } from "node:tls";
import fastify, { type FastifyInstance } from "fastify";
import type { Logger } from "pino";
import { type Bytes, type Clock, every, Fault, MIB, MINUTE, type Millis, type Random } from "#kernel";
import type { CertificateSource } from "#proto";
import type { InferenceCore } from "../contract.ts";
import type { TenantFiles } from "../files/index.ts";
import { newRequestId } from "../request-id.ts";
import { guardRoutes } from "./access.ts";
import { chatCompletions } from "./chat-completions.ts";
import { completions } from "./completions.ts";
import { addConsoleRoutes, type ConsoleFiles } from "./console-routes.ts";
import { addFileRoutes } from "./file-routes.ts";
import { addFineTuningRoutes, type FineTuningRouteDeps } from "./fine-tuning-routes.ts";
import { addInferenceRoute } from "./inference-route.ts";
import { parseJsonBody } from "./json-body.ts";
import { addModelRoutes, type ModelRouteDeps } from "./model-routes.ts";
import { addOperationRoutes, type OperationDeps } from "./operations/index.ts";
import { addPreparationRoutes, type PreparationRouteDeps } from "./preparation-routes.ts";
import { answerNoHttp, answerRefusals, answerUnroutable } from "./refusals.ts";
import { addUsageRoutes, type UsageRouteDeps } from "./usage-routes.ts";

export interface HttpServerDeps extends ModelRouteDeps, UsageRouteDeps, FineTuningRouteDeps, PreparationRouteDeps {
  readonly core: InferenceCore;
  readonly files: TenantFiles;
  readonly operations: OperationDeps;
  /** The page that is served at `/`; none when absent. */
  readonly console?: ConsoleFiles | undefined;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
}

export interface HttpServerOptions {
  /** Port 0 takes a free one. */
  readonly host: string;
  readonly port: number;
  /** Default: in the clear, for loopback and what ends TLS in front. */
  readonly tls?: CertificateSource;
}

export interface RunningHttpServer extends AsyncDisposable {
  readonly port: number;
  /** From now on every answer closes its connection, so that the next request opens one elsewhere. */
  stopKeepAlive(): void;
  /** Stops listening, lets running answers end for `graceMs`, then cuts them. Idempotent. */
  drain(graceMs: Millis): Promise<void>;
}

/** As for gRPC: a prompt is text, and 4 MiB of text fits no context. */
const BODY_BYTES_MAX: Bytes = 4 * MIB;
/** A file of the largest size over a slow line takes about so long; who sends slower holds a connection for nothing. */
const REQUEST_MS_MAX: Millis = 20 * MINUTE;
const DRAIN_MS: Millis = 10_000;
/** Node closes connections that are idle when a server is closed, and leaves those that become so later. */
const CLOSE_IDLE_MS: Millis = 100;

/** Starts OpenAI's HTTP surface over the core. */
export async function startHttpServer(deps: HttpServerDeps, options: HttpServerOptions): Promise<RunningHttpServer> {
  const requestId = () => newRequestId(deps);
  const server = fastify({
    ...secured(options.tls),
    bodyLimit: BODY_BYTES_MAX,
    requestTimeout: REQUEST_MS_MAX,
    forceCloseConnections: "idle",
    // Nothing of HTTP that OpenAI does not answer: a HEAD or OPTIONS is a wrong method here too, and browsers' CORS is for proxies to grant.
    exposeHeadRoutes: false,
    genReqId: requestId,
    frameworkErrors: answerUnroutable,
    clientErrorHandler: (error, socket) => answerNoHttp(error, socket as Socket, requestId()),
    routerOptions: { maxParamLength: 512 },
  });
  server.addHook("onRequest", async (request, reply) => void reply.header("x-request-id", request.id));
  server.addHook("onSend", async (_request, reply) => void reply.header("openai-processing-ms", Math.round(reply.elapsedTime)));
  let closing = false;
  server.addHook("onRequest", async (_request, reply) => void (closing && reply.header("connection", "close")));
  server.removeAllContentTypeParsers();
  server.addContentTypeParser("application/json", { parseAs: "buffer" }, async (_request: unknown, body: Buffer) => parseJsonBody(body));
  answerRefusals(server, deps);
  guardRoutes(server, deps.core.authenticate);
  addRoutes(server, deps);
  const silent = silentConnections(server);
  const port = await listen(server, options);
  const unfollow = followCertificate(server, options.tls);

  let drained: Promise<void> | undefined;
  const drain = (graceMs: Millis) => {
    stopKeepAlive();
    drained ??= close(server, silent, deps.clock, graceMs).finally(unfollow);
    return drained;
  };
  const stopKeepAlive = () => {
    closing = true;
  };
  return { port, stopKeepAlive, drain, [Symbol.asyncDispose]: () => drain(DRAIN_MS) };
}

/** Fastify's options for TLS. Its types take them for another kind of server, whose differences nothing here uses. */
function secured(tls: CertificateSource | undefined): object {
  return tls ? { https: { cert: tls.current.certificate, key: tls.current.key } } : {};
}

/** New connections use the certificate as it is then. Returns what ends that. */
function followCertificate(server: FastifyInstance, tls: CertificateSource | undefined): () => void {
  if (!tls) return () => undefined;
  const secure = server.server as unknown as Pick<TlsServer, "setSecureContext">;
  return tls.listen(({ certificate, key }) => secure.setSecureContext({ cert: certificate, key }));
}

function addRoutes(server: FastifyInstance, deps: HttpServerDeps): void {
  server.get("/healthz", () => ({ status: "ok" }));
  server.get("/readyz", (_request, reply) => reply.status(deps.core.ready() ? 200 : 503).send({ ready: deps.core.ready() }));
  addConsoleRoutes(server, deps.console);
  addInferenceRoute(server, deps, completions);
  addInferenceRoute(server, deps, chatCompletions);
  addModelRoutes(server, deps);
  addFileRoutes(server, deps);
  addFineTuningRoutes(server, deps);
  addPreparationRoutes(server, deps);
  addUsageRoutes(server, deps);
  addOperationRoutes(server, deps.operations);
}

async function listen(server: FastifyInstance, { host, port }: HttpServerOptions): Promise<number> {
  try {
    await server.listen({ host, port });
  } catch (cause) {
    if (cause instanceof Fault) throw cause;
    const message = `cannot listen on ${host}:${port}: ${cause instanceof Error ? cause.message : String(cause)}`;
    throw new Fault("parameter_invalid", message, { detail: { field: "port" }, cause });
  }
  return (server.server.address() as AddressInfo).port;
}

/** Connections on which no request ever came: Node does not count them as idle, so a drain would wait for them. */
function silentConnections(server: FastifyInstance): ReadonlySet<Socket> {
  const silent = new Set<Socket>();
  server.server.on("connection", (socket: Socket) => {
    silent.add(socket);
    socket.once("close", () => silent.delete(socket));
  });
  server.server.on("request", (request) => silent.delete(request.socket));
  return silent;
}

async function close(server: FastifyInstance, silent: ReadonlySet<Socket>, clock: Clock, graceMs: Millis): Promise<void> {
  const finished = new AbortController();
  const cut = clock.after(graceMs, finished.signal).then(
    () => server.server.closeAllConnections(),
    () => undefined, // Everything ended in time.
  );
  const closed = server.close();
  for (const socket of silent) socket.destroy();
  const idle = every(clock, CLOSE_IDLE_MS, finished.signal, () => server.server.closeIdleConnections());
  await closed;
  finished.abort();
  await Promise.all([cut, idle]);
}
