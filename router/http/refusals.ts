import { type IncomingMessage, STATUS_CODES } from "node:http";
import type { Socket } from "node:net";
import type { FastifyError, FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import type { Logger } from "pino";
import { type Bytes, type Clock, deadlineSignal, Fault, MIB, type Millis, toFault } from "#kernel";
import { faultToHttp, type HttpError, refusalToHttp } from "./openai-error.ts";
import { methodsOf } from "./routes.ts";

interface Deps {
  readonly clock: Clock;
  readonly log: Logger;
}

/** A client that is still sending hears an answer only when someone reads; more than this, or slower, is cut off. */
const DISCARDED_BYTES_MAX: Bytes = 64 * MIB;
const DISCARD_MS_MAX: Millis = 5_000;
/** What Node itself reads and drops behind an answer, without asking us, is no more than a body that we would have taken. */
const UNREAD_BYTES_MAX: Bytes = 4 * MIB;

/** Answers every refusal, ours, Fastify's and HTTP's, in OpenAI's shape. */
export function answerRefusals(server: FastifyInstance, deps: Deps): void {
  server.setErrorHandler(async (error: FastifyError | Error, request, reply) => {
    const refusal = httpErrorOf(error);
    if (error instanceof Fault ? error.reason === "bug" : refusal.status === 500)
      deps.log.error({ err: error.cause ?? error, path: request.url, requestId: request.id }, "request failed");
    await send(deps, request, reply, refusal);
    return reply;
  });
  server.setNotFoundHandler(async (request, reply) => {
    await send(deps, request, reply, notFound(request.method, request.url.split("?")[0]!));
    return reply;
  });
}

/** For what can't even be routed: a URL that is none. */
export function answerUnroutable(error: FastifyError, request: FastifyRequest, reply: FastifyReply): void {
  const { status, headers, body } = refusalToHttp({ kind: "malformed", status: 400, message: error.message });
  void reply
    .status(status)
    .headers({ "x-request-id": request.id, ...headers })
    .send(body);
}

/** For what is no HTTP: there is no request yet, only a socket. */
export function answerNoHttp(error: Error & { readonly code?: string }, socket: Socket, requestId: string): void {
  if (error.code === "ECONNRESET" || !socket.writable) {
    socket.destroy();
    return;
  }
  const known = { ERR_HTTP_REQUEST_TIMEOUT: 408, HPE_HEADER_OVERFLOW: 431 } as const;
  const status = known[error.code as keyof typeof known] ?? 400;
  const refusal = refusalToHttp({ kind: "malformed", status, message: `this is no HTTP request: ${STATUS_CODES[status]}` });
  const body = JSON.stringify(refusal.body);
  const headers = {
    ...refusal.headers,
    ...{ "x-request-id": requestId, "content-type": "application/json; charset=utf-8", connection: "close" },
    "content-length": String(Buffer.byteLength(body)),
  };
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}`);
  socket.end([`HTTP/1.1 ${status} ${STATUS_CODES[status]}`, ...lines, "", body].join("\r\n"));
}

async function send(deps: Deps, request: FastifyRequest, reply: FastifyReply, { status, headers, body }: HttpError): Promise<void> {
  if (hasLongBody(request.raw)) {
    reply.header("connection", "close");
    await discardBody(request.raw, deps.clock);
  }
  await reply.status(status).headers(headers).send(body);
}

function notFound(method: string, path: string): HttpError {
  const allowed = methodsOf(path);
  if (allowed.length > 0) return refusalToHttp({ kind: "method", method, path, allowed });
  return refusalToHttp({ kind: "route", method, path });
}

/** Fastify's own refusals (body too large, wrong content type, a part of a form too many) in our words. */
function httpErrorOf(error: FastifyError | Error): HttpError {
  const status = "statusCode" in error ? error.statusCode : undefined;
  if (error instanceof Fault || status === undefined || status >= 500) return faultToHttp(toFault(error));
  if (status === 415 || status === 406)
    return refusalToHttp({ kind: "content_type", message: "the header content-type must be application/json" });
  const reason = status === 413 ? "message_too_large" : "message_malformed";
  return faultToHttp(new Fault(reason, error.message, { cause: error }));
}

function hasLongBody(request: IncomingMessage): boolean {
  if (request.complete) return false;
  const announced = request.headers["content-length"];
  return announced === undefined ? request.headers["transfer-encoding"] !== undefined : Number(announced) > UNREAD_BYTES_MAX;
}

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
