import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import { type Clock, Fault, toFault } from "#kernel";
import { bearerToken, type GenerateResponse, type Usage } from "#proto";
import type { InferenceCore } from "../contract.ts";
import type { Heading } from "./completion-shape.ts";
import type { Endpoint, StreamingBody } from "./endpoint.ts";
import { openEventStream } from "./event-stream.ts";
import { faultToHttp } from "./openai-error.ts";

interface Deps {
  readonly core: InferenceCore;
  readonly clock: Clock;
}

/** Adds an endpoint: authenticate, translate, generate, answer whole or as a stream of events. */
export function addInferenceRoute<Body extends StreamingBody>(server: FastifyInstance, deps: Deps, endpoint: Endpoint<Body>): void {
  server.post(endpoint.path, async (request, reply) => {
    const principal = await deps.core.authenticate(bearerToken(request.headers.authorization));
    const body = endpoint.parse(request.body);
    const signal = goneSignal(request, reply);
    const pieces = await started(deps.core.generate(principal, endpoint.toRequest(body), signal));
    const created = Math.floor(deps.clock.now() / 1000);
    const heading = (piece: GenerateResponse): Heading => ({
      id: `${endpoint.idPrefix}-${piece.requestId}`,
      created,
      model: piece.model,
      system_fingerprint: piece.fingerprint,
    });
    if (!body.stream) {
      reply.header("x-request-id", pieces.first.requestId);
      return endpoint.whole(body, pieces.all, heading);
    }
    await stream(deps, reply, endpoint, body, pieces, heading(pieces.first), signal);
    return reply;
  });
}

interface StartedPieces {
  readonly first: GenerateResponse;
  /** With the first. */
  readonly all: AsyncIterable<GenerateResponse>;
}

/** Waits for the first piece: what fails before it is answered with a status, not in the middle of a stream. */
async function started(pieces: AsyncIterable<GenerateResponse>): Promise<StartedPieces> {
  const iterator = pieces[Symbol.asyncIterator]();
  const next = await iterator.next();
  if (next.done) throw new Fault("bug", "a generation ended without a piece");
  const first = next.value;
  async function* all() {
    try {
      yield first;
      for (let more = await iterator.next(); !more.done; more = await iterator.next()) yield more.value;
    } finally {
      await iterator.return?.();
    }
  }
  return { first, all: all() };
}

async function stream<Body extends StreamingBody>(
  deps: Deps,
  reply: FastifyReply,
  endpoint: Endpoint<Body>,
  body: Body,
  pieces: StartedPieces,
  heading: Heading,
  signal: AbortSignal,
): Promise<void> {
  reply.hijack();
  const includeUsage = body.stream_options?.include_usage === true;
  const events = openEventStream(reply.raw, { "x-request-id": pieces.first.requestId }, deps.clock, signal);
  const shape = endpoint.streaming(body);
  let usage: Usage | undefined;
  try {
    for await (const piece of pieces.all) {
      usage = piece.usage;
      for (const chunk of shape.piece(piece, heading)) await events.send(includeUsage ? { ...chunk, usage: null } : chunk);
    }
    if (includeUsage) await events.send(shape.usage(heading, usage));
    await events.send("[DONE]");
    events.end();
  } catch (error) {
    if (signal.aborted) return; // Nobody is there to tell.
    const fault = toFault(error);
    if (fault.reason === "client_stalled") {
      reply.raw.destroy();
      return;
    }
    await events.send(faultToHttp(fault).body);
    events.end();
  }
}

/** Aborts when the client closes the connection before it has the whole answer. */
function goneSignal(request: FastifyRequest, reply: FastifyReply): AbortSignal {
  const gone = new AbortController();
  reply.raw.once("close", () => {
    if (!reply.raw.writableFinished) gone.abort(new Fault("client_gone", "the client went away"));
  });
  if (request.raw.destroyed && !request.raw.complete) gone.abort(new Fault("client_gone", "the client went away"));
  return gone.signal;
}
