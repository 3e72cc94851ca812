import { type Clock, Fault, type Millis, type NodeView, type Outcome, type Span, toFault, traceparentOf } from "#kernel";
import type { GenerateResponse, NodeServiceGenerateRequest, NodeServiceGenerateResponse } from "#proto";
import type { Placement, PlacementAsk, Turn } from "../admission/index.ts";
import type { Residency, RouterMetrics } from "../metrics.ts";
import type { Dispatcher } from "./dispatcher.ts";
import type { RequestMeter } from "./request-meter.ts";
import type { RequestProgress } from "./request-progress.ts";
import type { RequestTrace } from "./request-trace.ts";

export interface GenerationDeps {
  readonly clock: Clock;
  readonly dispatcher: Dispatcher;
  readonly metrics: RouterMetrics;
}

/** One request, checked, resolved and let in. */
export interface Generation {
  readonly requestId: string;
  /** The model's full name, as every piece says it. */
  readonly model: string;
  readonly baseName: string;
  readonly ask: PlacementAsk;
  /** With the node of the first attempt. Stays the caller's. */
  readonly turn: Turn;
  /** What every attempt sends; what belongs to one of them is added. */
  readonly nodeRequest: Omit<NodeServiceGenerateRequest, "attempt" | "progress" | "deltaSources" | "traceparent">;
  readonly progress: RequestProgress;
  readonly meter: RequestMeter;
  readonly trace: RequestTrace;
  readonly startedAt: Millis;
  /** Once, with the first piece. */
  readonly onFirstToken: () => void;
}

/**
 * The pieces of one request, from as many nodes as it takes. A token is given once, whichever node made it; a piece is
 * only taken from a node when the reader has come for it, so everything taken is handed on. The claim of everything
 * handed on is durable before the last piece leaves, and before the stream ends in any other way.
 */
export async function* streamGeneration(
  deps: GenerationDeps,
  generation: Generation,
  signal: AbortSignal,
): AsyncGenerator<GenerateResponse> {
  const { progress, meter, ask } = generation;
  const failed = deps.dispatcher.failures();
  const watch = new TokenWatch(deps, generation);
  let node: NodeView | undefined;
  let outcome: Outcome = "cancelled"; // Stays when the reader leaves: then only `finally` is reached.
  try {
    while (!progress.done) {
      using placement = node ? await deps.dispatcher.placeAgain(ask, failed, signal) : generation.turn.placement;
      node = placement.node;
      signal.throwIfAborted(); // It may have ended while it waited: then nothing is begun.
      const fault = yield* serveAttempt(deps, generation, placement, watch, signal);
      if (!fault) return;
      const next = progress.after(fault);
      if (next.kind === "fail") throw next.fault;
      failed.add(node);
      if (fault.reason === "node_lost") deps.dispatcher.lost(node);
    }
  } catch (error) {
    if (!signal.aborted) outcome = "failed";
    throw error;
  } finally {
    if (node) await meter.settle(outcome, progress.usage, { attempt: progress.attempt, nodeId: node.id });
  }
}

/** The pieces of one attempt; returns why it gives no more, undefined when nothing is left to give. */
async function* serveAttempt(
  deps: GenerationDeps,
  generation: Generation,
  placement: Placement,
  watch: TokenWatch,
  signal: AbortSignal,
): AsyncGenerator<GenerateResponse, Fault | undefined> {
  const { progress, meter, turn } = generation;
  const { node } = placement;
  const begun = progress.begin();
  const span = generation.trace.attempt(progress.attempt, node.id, placement.reason);
  const pieces = openAttempt(deps, generation, placement, begun, span, signal);
  const serving = { attempt: progress.attempt, nodeId: node.id };
  try {
    while (!progress.done) {
      const pulled = await pull(pieces, node, signal);
      if (pulled.kind === "over") {
        span.end(pulled.fault);
        return pulled.fault;
      }
      if (!progress.take(pulled.piece)) return misbehaved(node);
      placement.answered();
      turn.measured(progress.usage.promptTokens - progress.usage.cachedTokens);
      turn.produced(pulled.piece.tokenIds.length);
      watch.saw(pulled.piece);
      if (progress.done) await Promise.all([meter.settle("completed", progress.usage, serving), lastWord(pieces)]);
      else {
        const lagging = meter.running(progress.usage, serving);
        if (lagging) await lagging; // Without, no turn of the event loop is lost.
      }
      yield messageOf(generation, pulled.piece);
    }
    return undefined;
  } finally {
    span.end();
    await pieces.return?.().catch(() => undefined); // The attempt is over: whatever its node still has to say is of no interest.
  }
}

type Pulled = { readonly kind: "piece"; readonly piece: NodeServiceGenerateResponse } | { readonly kind: "over"; readonly fault: Fault };

/** The next thing a node says. Its end and its failure are values, so that our own failures are never mistaken for them. */
async function pull(pieces: AsyncIterator<NodeServiceGenerateResponse>, node: NodeView, signal: AbortSignal): Promise<Pulled> {
  try {
    const { done, value } = await pieces.next();
    return done ? { kind: "over", fault: endedEarly(node) } : { kind: "piece", piece: value };
  } catch (error) {
    signal.throwIfAborted();
    return { kind: "over", fault: toFault(error) };
  }
}

/**
 * Waits for a node to end its stream after the last piece: then its claim is durable as well as ours, and both were written at
 * the same time. Ours alone would do for the bill, so a node that is lost now costs the client nothing.
 */
async function lastWord(pieces: AsyncIterator<NodeServiceGenerateResponse>): Promise<void> {
  await pieces.next().catch(() => undefined);
}

function openAttempt(
  deps: GenerationDeps,
  generation: Generation,
  { node, deltaSources }: Placement,
  progress: NodeServiceGenerateRequest["progress"],
  span: Span,
  signal: AbortSignal,
): AsyncIterator<NodeServiceGenerateResponse> {
  const request = {
    ...{ ...generation.nodeRequest, attempt: generation.progress.attempt, progress, deltaSources: [...deltaSources] },
    ...(span.context && { traceparent: traceparentOf(span.context) }),
  };
  try {
    return deps.dispatcher.clientOf(node).generate(request, signal)[Symbol.asyncIterator]();
  } catch (error) {
    return { next: () => Promise.reject(error) }; // A node that is not there any more is one whose stream breaks at once.
  }
}

function messageOf(generation: Generation, piece: NodeServiceGenerateResponse): GenerateResponse {
  return {
    requestId: generation.requestId,
    model: generation.model,
    choice: piece.choice,
    text: piece.text,
    tokenIds: piece.tokenIds,
    logprobs: piece.logprobs,
    finishReason: piece.finishReason,
    usage: generation.progress.usage,
    fingerprint: piece.fingerprint,
    prompt: piece.prompt,
  };
}

function misbehaved(node: NodeView): Fault {
  return new Fault("bug", "internal error", {
    detail: { resource: node.id },
    cause: new Error("a node sent a piece of a choice that is over or was never asked for"),
  });
}

function endedEarly(node: NodeView): Fault {
  return new Fault("node_lost", "the node ended its stream before the text was finished", { detail: { resource: node.id } });
}

const RESIDENCIES: ReadonlyMap<string, Residency> = new Map([
  ["slot", "hot"],
  ["ram", "warm"],
]);

/** Times a request's pieces for the metrics. */
class TokenWatch {
  readonly #deps: GenerationDeps;
  readonly #generation: Generation;
  readonly #lastAt = new Map<number, Millis>();

  constructor(deps: GenerationDeps, generation: Generation) {
    this.#deps = deps;
    this.#generation = generation;
  }

  saw(piece: NodeServiceGenerateResponse): void {
    const now = this.#deps.clock.monotonic();
    const { startedAt, baseName, ask, trace } = this.#generation;
    trace.saw(piece, this.#lastAt.size === 0);
    if (this.#lastAt.size === 0) {
      const residency = ask.deltaDigest === undefined ? "hot" : (RESIDENCIES.get(piece.residency) ?? "cold");
      this.#deps.metrics.firstToken(baseName, residency, now - startedAt);
      this.#generation.onFirstToken();
    }
    const lastAt = this.#lastAt.get(piece.choice);
    if (lastAt !== undefined) this.#deps.metrics.nextToken(now - lastAt);
    this.#lastAt.set(piece.choice, now);
  }
}
