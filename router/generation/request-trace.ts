import { type Fault, type NodeId, type Span, type TraceContext, type Tracer, toFault, type Usage } from "#kernel";
import { FinishReason, type GenerateResponse, type Sampling } from "#proto";
import type { Admission } from "../admission/index.ts";

/** In the words of OpenTelemetry's conventions for generative AI; `score` is ours. */
export type Operation = "chat" | "text_completion" | "score";

const FINISH_REASONS: ReadonlyMap<FinishReason, string> = new Map([
  [FinishReason.FINISH_REASON_STOP, "stop"],
  [FinishReason.FINISH_REASON_LENGTH, "length"],
]);

/**
 * One request as spans: the request itself, its admission, and each attempt on a node. Says whose it is, how much and how
 * long, never what: neither prompts, completions nor stop strings.
 */
export class RequestTrace {
  readonly #tracer: Tracer;
  readonly #span: Span;
  readonly #admission: Span;
  readonly #operation: Operation;
  readonly #finishReasons: string[] = [];

  /** @param parent what the caller says, if it says anything */
  constructor(tracer: Tracer, operation: Operation, parent: TraceContext | undefined) {
    this.#tracer = tracer;
    this.#operation = operation;
    this.#span = tracer.start(operation, "server", parent);
    this.#admission = tracer.start("admission", "internal", this.#span.context);
  }

  /** What is asked for is known. */
  known({ requestId, target, ask, sampling }: Pick<Admission, "requestId" | "target" | "ask" | "sampling">): void {
    if (!this.#span.recording) return;
    this.#span.name(`${this.#operation} ${target.model}`);
    this.#span.set({
      ...{ "gen_ai.operation.name": this.#operation, "gen_ai.provider.name": "deltaplane" },
      ...{ "gen_ai.request.model": target.model, "gen_ai.response.model": target.model, "gen_ai.response.id": requestId },
      ...{ "deltaplane.tenant.id": ask.tenantId, "deltaplane.base.name": target.baseName, "deltaplane.delta.digest": ask.deltaDigest },
      ...(sampling && samplingAttributes(sampling)),
    });
  }

  /** It waits no longer. */
  letIn(outcome: string): void {
    if (this.#admission.recording) this.#admission.set({ "deltaplane.admission.outcome": outcome });
    this.#admission.end();
  }

  /** Begins an attempt on the node that was picked; its context goes along. */
  attempt(attempt: number, nodeId: NodeId, reason: string | undefined): Span {
    const span = this.#tracer.start("attempt", "client", this.#span.context);
    if (span.recording) {
      this.#span.event("pick", { "deltaplane.node.id": nodeId, "deltaplane.placement.reason": reason });
      span.set({ "deltaplane.node.id": nodeId, "deltaplane.attempt": attempt, "deltaplane.placement.reason": reason });
    }
    return span;
  }

  saw({ finishReason }: Pick<GenerateResponse, "finishReason">, first: boolean): void {
    if (!this.#span.recording) return;
    if (first) this.#span.event("first_token");
    const reason = FINISH_REASONS.get(finishReason);
    if (reason !== undefined) this.#finishReasons.push(reason);
  }

  served({ promptTokens, completionTokens, cachedTokens }: Usage): void {
    if (!this.#span.recording) return;
    this.#span.set({
      ...{ "gen_ai.usage.input_tokens": promptTokens, "gen_ai.usage.output_tokens": completionTokens },
      ...{ "gen_ai.usage.cache_read.input_tokens": cachedTokens, "gen_ai.response.finish_reasons": this.#finishReasons },
    });
  }

  /** Idempotent. */
  end(error?: unknown): void {
    const failure: Fault | undefined = error === undefined ? undefined : toFault(error);
    this.#admission.end(failure);
    this.#span.end(failure);
  }
}

function samplingAttributes(sampling: Sampling) {
  return {
    "gen_ai.request.max_tokens": sampling.maxTokens,
    "gen_ai.request.temperature": sampling.temperature,
    "gen_ai.request.top_p": sampling.topP,
    "gen_ai.request.top_k": sampling.topK,
    "gen_ai.request.presence_penalty": sampling.presencePenalty,
    "gen_ai.request.frequency_penalty": sampling.frequencyPenalty,
    "gen_ai.request.choice.count": sampling.n,
  };
}
