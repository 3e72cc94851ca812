import {
  type Attributes,
  type Context,
  SpanKind as OtelKind,
  type Span as OtelSpan,
  type Tracer as OtelTracer,
  ROOT_CONTEXT,
  SpanStatusCode,
  TraceFlags,
  trace,
} from "@opentelemetry/api";
import type { Span, SpanAttributes, SpanKind, TraceContext, Tracer } from "#kernel";

const KINDS: Readonly<Record<SpanKind, OtelKind>> = { server: OtelKind.SERVER, client: OtelKind.CLIENT, internal: OtelKind.INTERNAL };

/** Our contract over OpenTelemetry's. */
export function otelTracer(tracer: OtelTracer): Tracer {
  return { start: (name, kind, parent) => spanOver(tracer.startSpan(name, { kind: KINDS[kind] }, contextOf(parent))) };
}

function spanOver(span: OtelSpan): Span {
  const { traceId, spanId, traceFlags } = span.spanContext();
  let ended = false;
  return {
    recording: span.isRecording(),
    context: { traceId, spanId, sampled: (traceFlags & TraceFlags.SAMPLED) !== 0 },
    name: (name) => void span.updateName(name),
    set: (attributes) => void span.setAttributes(attributesOf(attributes)),
    event: (name, attributes) => void span.addEvent(name, attributes && attributesOf(attributes)),
    end(failure) {
      if (ended) return;
      ended = true;
      if (failure) span.setAttribute("error.type", failure.reason).setStatus({ code: SpanStatusCode.ERROR });
      span.end();
    },
  };
}

function contextOf(parent: TraceContext | undefined): Context {
  if (!parent) return ROOT_CONTEXT;
  const { traceId, spanId, sampled } = parent;
  return trace.setSpanContext(ROOT_CONTEXT, {
    traceId,
    spanId,
    traceFlags: sampled ? TraceFlags.SAMPLED : TraceFlags.NONE,
    isRemote: true,
  });
}

function attributesOf(attributes: SpanAttributes): Attributes {
  return Object.fromEntries(Object.entries(attributes).map(([name, value]) => [name, typeof value === "object" ? [...value] : value]));
}
