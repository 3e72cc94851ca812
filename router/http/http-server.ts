import type { IncomingMessage } from "node:http";
import type { AddressInfo } from "node:net";
import fastify, { type FastifyError, type FastifyInstance } from "fastify";
import type { Logger } from "pino";
import { type Bytes, type Clock, deadlineSignal, Fault, MIB, type Millis, toFault } from "#kernel";
import type { InferenceCore } from "../contract.ts";
import { chatCompletions } from "./chat-completions.ts";
import { completions } from "./completions.ts";
import { addInferenceRoute } from "./inference-route.ts";
import { addModelRoutes } from "./model-routes.ts";
import { faultToHttp } from "./openai-error.ts";

export interface HttpServerDeps {
  readonly core: InferenceCore;
  readonly clock: Clock;
  readonly log: Logger;
}

export interface HttpServerOptions {
  /** Port 0 takes a free one. */
  readonly host: string;
  readonly port: number;
}

export interface RunningHttpServer extends AsyncDisposable {
  readonly port: number;
  /** Stops listening, lets running answers end for `graceMs`, then cuts them. Idempotent. */
  drain(graceMs: Millis): Promise<void>;
}

/** As for gRPC: a prompt is text, and 4 MiB of text fits no context. */
const BODY_BYTES_MAX: Bytes = 4 * MIB;
const DRAIN_MS: Millis = 10_000;

/** Starts OpenAI's HTTP surface over the core. */
export async function startHttpServer(deps: HttpServerDeps, options: HttpServerOptions): Promise<RunningHttpServer> {
  const server = fastify({ bodyLimit: BODY_BYTES_MAX, forceCloseConnections: "idle", routerOptions: { maxParamLength: 512 } });
  server.setErrorHandler(async (error: FastifyError | Error, request, reply) => {
    const fault = asFault(error);
    if (fault.reason === "message_too_large") await discardBody(request.raw, deps.clock);
    if (fault.reason === "bug") deps.log.error({ err: fault.cause, path: request.url }, "request failed");
    const { status, headers, body } = faultToHttp(fault);
    return reply
      .status(status)
      .headers({ "x-request-id": request.id, ...headers })
      .send(body);
  });
  server.setNotFoundHandler((request, reply) => {
    const { status, headers, body } = faultToHttp(new Fault("resource_unknown", `no route ${request.method} ${request.url.split("?")[0]}`));
    return reply
      .status(status)
      .headers({ "x-request-id": request.id, ...headers })
      .send(body);
  });
  server.get("/healthz", () => ({ status: "ok" }));
  server.get("/readyz", (_request, reply) => reply.status(deps.core.ready() ? 200 : 503).send({ ready: deps.core.ready() }));
  addInferenceRoute(server, deps, completions);
  addInferenceRoute(server, deps, chatCompletions);
  addModelRoutes(server, deps.core);
  const port = await listen(server, options);

  let drained: Promise<void> | undefined;
  const drain = (graceMs: Millis) => {
    drained ??= close(server, deps.clock, graceMs);
    return drained;
  };
  return { port, drain, [Symbol.asyncDispose]: () => drain(DRAIN_MS) };
}

async function listen(server: FastifyInstance, { host, port }: HttpServerOptions): Promise<number> {
  try {
    await server.listen({ host, port });
  } catch (cause) {
    const message = `cannot listen on ${host}:${port}: ${cause instanceof Error ? cause.message : String(cause)}`;
    throw new Fault("parameter_invalid", message, { detail: { field: "port" }, cause });
  }
  return (server.server.address() as AddressInfo).port;
}

async function close(server: FastifyInstance, clock: Clock, graceMs: Millis): Promise<void> {
  const finished = new AbortController();
  const cut = clock.after(graceMs, finished.signal).then(
    () => server.server.closeAllConnections(),
    () => undefined, // Everything ended in time.
  );
  await server.close();
  finished.abort();
  await cut;
}

/** A client that is still sending hears an answer only when someone reads; more than this, or slower, is cut off. */
const DISCARDED_BYTES_MAX: Bytes = 64 * MIB;
const DISCARD_MS_MAX: Millis = 5_000;

/** Reads what is left of a refused body, so that the refusal arrives: the connection is closed after it. */
async function discardBody(request: IncomingMessage, clock: Clock): Promise<void> {
  if (Number(request.headers["content-length"] ?? 0) > DISCARDED_BYTES_MAX) return;
  using limit = deadlineSignal(clock, DISCARD_MS_MAX, () => "over");
  let discardedBytes: Bytes = 0;
  await new Promise<void>((resolve) => {
    for (const event of ["end", "close", "error"]) request.once(event, resolve);
    limit.signal.addEventListener("abort", () => resolve(), { once: true });
    request.on("data", (chunk: Buffer) => {
      discardedBytes += chunk.length;
      if (discardedBytes > DISCARDED_BYTES_MAX) resolve();
    });
  });
}

/** Fastify's own refusals (body too large, not JSON, wrong content type) in our words. */
function asFault(error: FastifyError | Error): Fault {
  const status = "statusCode" in error ? error.statusCode : undefined;
  if (error instanceof Fault || status === undefined || status >= 500) return toFault(error);
  const reason = status === 413 ? "message_too_large" : "message_malformed";
  return new Fault(reason, error.message, { cause: error });
}
