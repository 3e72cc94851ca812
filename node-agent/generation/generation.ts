import { asTenantId, type ClaimOutbox, type Clock, isFault, type Millis, type NodeId, type Random, type Tracer, type Usage } from "#kernel";
import type { DeltaReference } from "#model";
import { FinishReason, type NodeServiceGenerateRequest, type NodeServiceGenerateResponse } from "#proto";
import type { BaseHost } from "../base-host.ts";
import type { RequestWork } from "../base-work.ts";
import type { Arrival } from "../delta-cache/index.ts";
import { AttemptTrace } from "./attempt-trace.ts";
import { type ChoicePiece, generateChoice } from "./choice.ts";
import { checkRequest, claimIdentity } from "./generation-request.ts";
import { merge } from "./merge.ts";
import { RequestClaim } from "./request-claim.ts";

export interface GenerationDeps {
  readonly clock: Clock;
  readonly random: Random;
  readonly claims: Pick<ClaimOutbox, "write">;
  readonly nodeId: NodeId;
  readonly observer: GenerationObserver;
  readonly tracer: Tracer;
}

/** How warm the request found its delta; the plain base is always hot. */
export type Warmth = "hot" | "warm" | "cold";

/** How a request ended, in the words of its metrics. */
export type Ending = "stop" | "length" | "abort" | "error";

/** Told of what happens, for the metrics. */
export interface GenerationObserver {
  firstToken(base: string, warmth: Warmth, waitedMs: Millis): void;
  nextToken(base: string, gapMs: Millis): void;
  /** `usage`: of this attempt alone. */
  ended(base: string, ending: Ending, usage: Usage, tookMs: Millis): void;
}

const WARMTH: Readonly<Record<Arrival, Warmth>> = { slot: "hot", ram: "warm", disk: "cold", origin: "cold" };

/** Nobody sees it; without a reason every request would make an exception with a stack. */
const OVER = "over";

const FINISH = {
  stop: FinishReason.FINISH_REASON_STOP,
  length: FinishReason.FINISH_REASON_LENGTH,
} as const;

/**
 * One attempt of one request: checks it, brings the delta into a slot, runs one sequence per choice and yields their
 * pieces with the request's cumulative usage. Pulls: what the reader does not take is not asked of the engine. The claim of
 * everything is durable before the stream ends: a router writes its own meanwhile, and hands the last piece on after both.
 *
 * @throws Faults of {@link checkRequest}, of the delta cache and of the engine; the signal's reason.
 */
export async function* generate(
  deps: GenerationDeps,
  host: BaseHost,
  wire: NodeServiceGenerateRequest,
  delta: DeltaReference | undefined,
  signal: AbortSignal,
): AsyncGenerator<NodeServiceGenerateResponse> {
  const startedAt = deps.clock.monotonic();
  using trace = new AttemptTrace(deps.tracer, wire, deps.nodeId);
  const request = await checkRequest(wire, host, deps.random);
  const claim = new RequestClaim(deps, claimIdentity(wire, host, delta, deps.nodeId), request.usageBefore);
  using work = host.work.begin(delta?.digest, request.promptTokens.length);
  const counter = new Counter(deps, work, host.info.name, request.promptTokens.length, request.usageBefore, startedAt);
  const choices = Array.from({ length: request.plan.choices }, (_, choice) => choice);
  let open = choices.filter((choice) => !request.progress.get(choice)?.finished);
  if (open.length === 0) return await claim.complete(request.usageBefore); // An earlier attempt delivered everything but the end.
  const abandoned = new AbortController();
  const fingerprint = host.fingerprint(delta);
  const use = await host.use(delta, signal);
  trace.prefill(use.arrival, request.promptTokens.length);
  try {
    const within = AbortSignal.any([signal, abandoned.signal]);
    const sources = open.map((choice) => {
      const identity = { id: `${use.sequencePrefix}/${choice}`, tenantId: asTenantId(wire.tenantId) };
      return generateChoice(host, use, request, identity, choice, within);
    });
    const warmth = WARMTH[use.arrival];
    let residency: string = use.arrival;
    for await (const piece of merge(sources, () => abandoned.abort(OVER))) {
      const usage = counter.count(piece, warmth);
      trace.produced(piece.tokenIds.length);
      if (piece.finish) open = open.filter((choice) => choice !== piece.choice);
      const completed = open.length === 0 ? claim.complete(usage) : undefined;
      completed?.catch(() => undefined); // It may fail before anybody waits for it.
      yield toMessage(piece, usage, residency, fingerprint);
      residency = "";
      if (completed) await completed;
      else claim.handedOver(usage);
    }
    counter.end(counter.lastFinish ?? "stop");
  } catch (error) {
    trace.failed(error);
    counter.end(signal.aborted ? "abort" : "error");
    await claim.cutShort(signal.aborted || isFault(error, "client_gone") ? "cancelled" : "failed");
    throw error;
  } finally {
    abandoned.abort(OVER);
    use.release();
    counter.end("abort"); // Only where the reader left: every other way out has said its own word.
    await claim.cutShort("cancelled");
  }
}

/** Adds up what a request consumes and tells the observer about its tokens. */
class Counter {
  lastFinish: "stop" | "length" | undefined;
  readonly #deps: GenerationDeps;
  readonly #work: RequestWork;
  readonly #base: string;
  readonly #promptTokens: number;
  readonly #before: Usage;
  readonly #startedAt: Millis;
  readonly #lastAt = new Map<number, Millis>();
  /**
   * What the first choice to begin found in the cache: its siblings may well have found what it computed. Of the attempt that
   * began the request alone: what later ones find does not make cheaper what was computed already.
   */
  #reusedTokens = 0;
  #completionTokens: number;
  #ended = false;

  constructor(deps: GenerationDeps, work: RequestWork, base: string, promptTokens: number, before: Usage, startedAt: Millis) {
    this.#deps = deps;
    this.#work = work;
    this.#base = base;
    this.#promptTokens = promptTokens;
    this.#before = before;
    this.#startedAt = startedAt;
    this.#completionTokens = before.completionTokens;
  }

  count(piece: ChoicePiece, warmth: Warmth): Usage {
    const now = this.#deps.clock.monotonic();
    const lastAt = this.#lastAt.get(piece.choice);
    this.#work.produced(piece.tokenIds.length);
    if (this.#lastAt.size === 0 && this.#before.completionTokens === 0) this.#reusedTokens = piece.reusedTokens;
    if (this.#lastAt.size === 0) this.#deps.observer.firstToken(this.#base, warmth, now - this.#startedAt);
    else if (lastAt !== undefined) this.#deps.observer.nextToken(this.#base, now - lastAt);
    this.#lastAt.set(piece.choice, now);
    this.#completionTokens += piece.tokenIds.length;
    this.lastFinish = piece.finish ?? this.lastFinish;
    const cachedTokens = Math.max(this.#before.cachedTokens, this.#reusedTokens);
    return { promptTokens: this.#promptTokens, cachedTokens, completionTokens: this.#completionTokens };
  }

  /** The first ending counts. */
  end(ending: Ending): void {
    if (this.#ended) return;
    this.#ended = true;
    const completionTokens = this.#completionTokens - this.#before.completionTokens;
    const promptTokens = this.#lastAt.size === 0 ? 0 : this.#promptTokens;
    const tookMs = this.#deps.clock.monotonic() - this.#startedAt;
    this.#deps.observer.ended(this.#base, ending, { promptTokens, cachedTokens: this.#reusedTokens, completionTokens }, tookMs);
  }
}

function toMessage(piece: ChoicePiece, usage: Usage, residency: string, fingerprint: string): NodeServiceGenerateResponse {
  return {
    choice: piece.choice,
    text: piece.text,
    tokenIds: [...piece.tokenIds],
    logprobs: [...piece.logprobs],
    finishReason: piece.finish ? FINISH[piece.finish] : FinishReason.FINISH_REASON_UNSPECIFIED,
    usage: { ...usage },
    residency,
    fingerprint,
    prompt: [...piece.prompt],
  };
}
