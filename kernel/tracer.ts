import type { Fault } from "./fault.ts";

/** Which span of which trace; what one process tells the next (W3C Trace Context). */
export interface TraceContext {
  /** 32 lower-case hexadecimal digits. */
  readonly traceId: string;
  /** 16 of them. */
  readonly spanId: string;
  /** Whether whoever began wants to see it. */
  readonly sampled: boolean;
}

export type SpanAttributes = Readonly<Record<string, string | number | boolean | readonly string[] | undefined>>;

/** Who did the work: asked by somebody, asking somebody, or neither. */
export type SpanKind = "server" | "client" | "internal";

/** A piece of work with a beginning and an end, as an operator sees it. Never with what a prompt or a completion says. */
export interface Span {
  /** False: nobody looks at it, so spare the work of describing it. */
  readonly recording: boolean;
  /** What is told to whom the work is handed on; undefined when nothing is traced at all. */
  readonly context: TraceContext | undefined;
  name(name: string): void;
  set(attributes: SpanAttributes): void;
  event(name: string, attributes?: SpanAttributes): void;
  /** Only the first call counts. With a fault, the work failed for that reason; its text stays in the log. */
  end(failure?: Pick<Fault, "reason">): void;
}

/** Where spans begin. Composition roots make one that tells somebody; everybody else is handed it. */
export interface Tracer {
  start(name: string, kind: SpanKind, parent?: TraceContext): Span;
}

const NO_SPAN: Span = Object.freeze({
  recording: false,
  context: undefined,
  name: () => undefined,
  set: () => undefined,
  event: () => undefined,
  end: () => undefined,
});

/** Traces nothing, and costs a call. */
export const NO_TRACER: Tracer = Object.freeze({ start: () => NO_SPAN });

/** What every version of the header begins with; we read version 00, and of a later one as much as that. */
const TRACEPARENT = /^(?!ff)[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})$/;
const TRACEPARENT_CHARACTERS = 55;
const SAMPLED = 1;

/**
 * Reads a caller's `traceparent`. What is longer or shorter than one is not looked at: headers are a stranger's, and nothing
 * else of them is passed on. Undefined for what is not valid: then a new trace begins.
 */
export function parseTraceparent(header: unknown): TraceContext | undefined {
  if (typeof header !== "string" || header.length !== TRACEPARENT_CHARACTERS) return undefined;
  const [, traceId, spanId, flags] = TRACEPARENT.exec(header) ?? [];
  if (traceId === undefined || spanId === undefined || flags === undefined) return undefined;
  if (/^0+$/.test(traceId) || /^0+$/.test(spanId)) return undefined;
  return { traceId, spanId, sampled: (Number.parseInt(flags, 16) & SAMPLED) === SAMPLED };
}

/** As a message or a header says it; empty when nothing is traced. */
export function traceparentOf(context: TraceContext | undefined): string {
  return context ? `00-${context.traceId}-${context.spanId}-${context.sampled ? "01" : "00"}` : "";
}
