import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import { asRequestId, type Clock, Fault, type Millis, parseTraceparent, SECOND, toFault } from "#kernel";
import type { GenerateResponse } from "#proto";
import type { Admitted, InferenceCore } from "../contract.ts";
import type { BatchPiece } from "./batch.ts";
import { collect, UsageSum } from "./collected-answer.ts";
import { type Heading, usageOf } from "./completion-shape.ts";
import type { Endpoint, Streaming, StreamingBody } from "./endpoint.ts";
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
    const chunks = new Chunks(answer);
    for (let next = await first; !next.done; next = await pieces.next()) {
      for (const chunk of chunks.of(next.value)) {
        const room = events.send(chunk);
        if (room) await room; // Without, no turn of the event loop is lost.
      }
    }
    for (const chunk of chunks.last()) await events.send(chunk);
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

/** The pieces of an answer as OpenAI's chunks, with their usage as far as it was asked for. */
class Chunks<Body extends StreamingBody> {
  readonly #heading: StreamedAnswer<Body>["heading"];
  readonly #shape: Streaming;
  readonly #includeUsage: boolean;
  readonly #continuous: boolean;
  readonly #usage = new UsageSum();
  #head: Heading | undefined;

  constructor({ endpoint, body, heading }: StreamedAnswer<Body>) {
    this.#heading = heading;
    this.#shape = endpoint.streaming(body);
    this.#includeUsage = body.stream_options?.include_usage ?? false;
    this.#continuous = body.stream_options?.continuous_usage_stats ?? false;
  }

  of(from: BatchPiece): readonly object[] {
    this.#head ??= this.#heading(from.piece);
    this.#usage.take(from.question, from.piece.usage);
    const chunks = this.#shape.chunks(from, this.#head);
    if (!this.#includeUsage) return chunks;
    const usage = this.#continuous ? usageOf(this.#usage.total) : null;
    return chunks.map((chunk) => ({ ...chunk, usage }));
  }

  /** What follows the last piece. */
  last(): readonly object[] {
    if (!this.#head) throw new Fault("bug", "a generation ended without a piece");
    return this.#includeUsage ? [{ ...this.#shape.last(this.#head), usage: usageOf(this.#usage.total) }] : [];
  }
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
