import { parseTraceparent, type Span, type Tokens, type Tracer, toFault } from "#kernel";
import type { NodeServiceGenerateRequest } from "#proto";
import type { Arrival } from "../delta-cache/index.ts";

/** A text of a thousand tokens is some thirty marks; longer ones are marked until a span's own limit. */
const TOKENS_PER_MARK: Tokens = 32;

/** One attempt on this node as spans: the whole, and below it the engine's part. Says how much and how long, never what. */
export class AttemptTrace implements Disposable {
  readonly #tracer: Tracer;
  readonly #span: Span;
  #engine: Span | undefined;
  #tokens: Tokens = 0;

  constructor(
    tracer: Tracer,
    wire: Pick<NodeServiceGenerateRequest, "traceparent" | "requestId" | "attempt" | "baseName">,
    nodeId: string,
  ) {
    this.#tracer = tracer;
    this.#span = tracer.start("generate", "server", parseTraceparent(wire.traceparent));
    if (!this.#span.recording) return;
    this.#span.set({ "deltaplane.node.id": nodeId, "deltaplane.attempt": wire.attempt, "deltaplane.base.name": wire.baseName });
    this.#span.set({ "gen_ai.response.id": wire.requestId });
  }

  /** The delta is in its slot, and the prompt goes to the engine. */
  prefill(arrival: Arrival, promptTokens: Tokens): void {
    if (!this.#span.recording) return;
    this.#span.event("delta_ready", { "deltaplane.delta.arrival": arrival });
    this.#engine = this.#tracer.start("engine", "internal", this.#span.context);
    this.#engine.set({ "gen_ai.usage.input_tokens": promptTokens });
    this.#engine.event("prefill");
  }

  produced(tokens: Tokens): void {
    const engine = this.#engine;
    if (!engine) return;
    if (this.#tokens === 0) engine.event("first_token");
    const before = this.#tokens;
    this.#tokens += tokens;
    if (Math.floor(before / TOKENS_PER_MARK) < Math.floor(this.#tokens / TOKENS_PER_MARK))
      engine.event("steps", { "deltaplane.tokens": this.#tokens });
  }

  failed(error: unknown): void {
    this.#end(error);
  }

  [Symbol.dispose](): void {
    this.#end();
  }

  #end(error?: unknown): void {
    if (!this.#span.recording) return;
    const failure = error === undefined ? undefined : toFault(error);
    this.#engine?.set({ "gen_ai.usage.output_tokens": this.#tokens });
    this.#engine?.end(failure);
    this.#span.end(failure);
  }
}
