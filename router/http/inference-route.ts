import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import { asRequestId, type Clock, Fault, type Millis, parseTraceparent, SECOND, toFault } from "#kernel";
import type { GenerateResponse } from "#proto";
import type { Admitted, InferenceCore } from "../contract.ts";
import type { BatchPiece } from "./batch.ts";
import { collect, UsageSum } from "./collected-answer.ts";
import { type Heading, usageOf } from "./completion-shape.ts";
import type { Endpoint, StreamingBody } from "./endpoint.ts";
import { openEventStream } from "./event-stream.ts";
import { faultToHttp } from "./openai-error.ts";
import { askCore } from "./questions.ts";
import { rateLimitHeaders } from "./rate-limit-headers.ts";

interface Deps {
  readonly core: InferenceCore;
  readonly clock: Clock;
}

/**
 * The headers of a stream go out with its first piece, so that what is refused is refused with a status. A request that was
 * let in and still waits after this time gets them earlier, and comments after them: better than a proxy's time-out.
 */
const HEADERS_AFTER_MS: Millis = 10 * SECOND;

/** Adds an endpoint: translate, ask, answer whole or as a stream of events. */
export function addInferenceRoute<Body extends StreamingBody>(server: FastifyInstance, deps: Deps, endpoint: Endpoint<Body>): void {
  server.post(endpoint.path, async (request, reply) => {
    const body = endpoint.parse(request.body);
    const signal = goneSignal(request, reply);
    const letIn = Promise.withResolvers<void>();
    const questions = endpoint.questions(body);
    const pieces = askCore(deps.core, questions, {
      principal: request.principal,
      requestId: asRequestId(request.id),
      idempotencyKey: String(request.headers["idempotency-key"] ?? ""),
      deadlineAt: deadlineOf(request, deps.clock),
      trace: parseTraceparent(request.headers["traceparent"]),
      signal,
      onAdmitted({ meters }: Admitted) {
        if (!reply.sent) reply.headers(rateLimitHeaders(meters));
        letIn.resolve();
      },
      promptField: (question) => endpoint.promptField(body, question),
    });
    const created = Math.floor(deps.clock.now() / 1000);
    const heading = (first: GenerateResponse): Heading => ({
      id: `${endpoint.idPrefix}-${questions.length === 1 ? first.requestId : request.id}`,
      created,
      model: first.model,
      ...(first.fingerprint !== "" && { system_fingerprint: first.fingerprint }),
    });
    if (!body.stream) {
      const answer = await collect(pieces);
      return endpoint.whole(body, answer, heading(answer.first));
    }
    await stream(deps, reply, { endpoint, body, pieces, heading, letIn: letIn.promise, signal });
    return reply;
  });
}

interface StreamedAnswer<Body extends StreamingBody> {
  readonly endpoint: Endpoint<Body>;
  readonly body: Body;
  readonly pieces: AsyncIterable<BatchPiece>;
  readonly heading: (first: GenerateResponse) => Heading;
  /** Resolves when the request was let in. */
  readonly letIn: Promise<void>;
  readonly signal: AbortSignal;
}

async function stream<Body extends StreamingBody>(deps: Deps, reply: FastifyReply, answer: StreamedAnswer<Body>): Promise<void> {
  const { signal } = answer;
  const pieces = answer.pieces[Symbol.asyncIterator]();
  const first = pieces.next();
  await headersDue(deps.clock, first, answer.letIn);
  reply.hijack();
  const headers = { ...reply.getHeaders(), "openai-processing-ms": Math.round(reply.elapsedTime) };
  using events = openEventStream(reply.raw, headers, deps.clock, signal);
  try {
    for await (const chunk of chunksOf(answer, first, pieces)) await events.send(chunk);
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
  } finally {
    await pieces.return?.();
  }
}

/** Resolves with the first piece, or a while after the request was let in. @throws what came instead of a piece */
async function headersDue(clock: Clock, first: Promise<unknown>, letIn: Promise<void>): Promise<void> {
  const over = new AbortController();
  const patience = letIn.then(() => clock.after(HEADERS_AFTER_MS, over.signal)).catch(() => undefined); // Over: the piece came first.
  try {
    await Promise.race([first, patience]);
  } finally {
    over.abort();
  }
}

async function* chunksOf<Body extends StreamingBody>(
  { endpoint, body, heading }: StreamedAnswer<Body>,
  first: Promise<IteratorResult<BatchPiece>>,
  pieces: AsyncIterator<BatchPiece>,
): AsyncGenerator<object> {
  const shape = endpoint.streaming(body);
  const { include_usage: includeUsage = false, continuous_usage_stats: continuous = false } = body.stream_options ?? {};
  const usage = new UsageSum();
  let head: Heading | undefined;
  for (let next = await first; !next.done; next = await pieces.next()) {
    const { question, piece } = next.value;
    head ??= heading(piece);
    usage.take(question, piece.usage);
    const soFar = includeUsage ? { usage: continuous ? usageOf(usage.total) : null } : {};
    for (const chunk of shape.chunks(next.value, head)) yield { ...chunk, ...soFar };
  }
  if (!head) throw new Fault("bug", "a generation ended without a piece");
  if (includeUsage) yield { ...shape.last(head), usage: usageOf(usage.total) };
}

/** When the client gives up, as the official clients say; they cut to whole seconds. Undefined when it does not say. */
function deadlineOf(request: FastifyRequest, clock: Clock): Millis | undefined {
  const seconds = Number(request.headers["x-stainless-timeout"]);
  return seconds > 0 ? clock.now() + (seconds + 1) * SECOND : undefined;
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
