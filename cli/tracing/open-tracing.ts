import { Fault, type Millis, NO_TRACER, SECOND, type Tracer } from "#kernel";
import { VERSION } from "../version.ts";

/** Where spans go, and how many of them. */
export interface TracingOptions {
  /** `http://host:4317`; nothing is traced without. */
  readonly endpoint: string | undefined;
  /** Of the requests that nobody asked not to trace: 0 to 1. */
  readonly ratio: number;
  /** Who decides: a part that strangers call samples by itself, one behind it does what its caller decided. */
  readonly decides: boolean;
  /** `router`, `node-agent`, … */
  readonly component: string;
  /** Which of them. */
  readonly instance: string;
}

export interface Tracing extends AsyncDisposable {
  readonly tracer: Tracer;
}

/** Spans wait here until they are sent; what is more is dropped: a collector that is away must not cost memory. */
const QUEUE_SPANS_MAX = 4096;
const SEND_EVERY_MS: Millis = SECOND;
const SEND_MS_MAX: Millis = 5 * SECOND;
/** Names of models are the longest thing that we write. */
const VALUE_CHARACTERS_MAX = 512;
const EVENTS_MAX = 64;

/** Starts the SDK when there is somewhere to send spans to, and loads it only then. @throws Fault parameter_invalid */
export async function openTracing({ endpoint, ratio, decides, component, instance }: TracingOptions): Promise<Tracing> {
  if (endpoint === undefined || endpoint === "") return { tracer: NO_TRACER, [Symbol.asyncDispose]: async () => undefined };
  if (!URL.canParse(endpoint)) throw new Fault("parameter_invalid", `"${endpoint}" is no URL`, { detail: { field: "trace-endpoint" } });
  const [{ BatchSpanProcessor, TracerProvider }, { OTLPTraceExporter }, { resourceFromAttributes }, { otelTracer }, { samplerOf }] =
    await Promise.all([
      import("@opentelemetry/sdk-trace"),
      import("@opentelemetry/exporter-trace-otlp-grpc"),
      import("@opentelemetry/resources"),
      import("./otel-tracer.ts"),
      import("./sampler.ts"),
    ]);
  const exporter = new OTLPTraceExporter({ url: endpoint, timeoutMillis: SEND_MS_MAX });
  const provider = new TracerProvider({
    resource: resourceFromAttributes({
      ...{ "service.namespace": "deltaplane", "service.name": `deltaplane-${component}` },
      ...{ "service.instance.id": instance, "service.version": VERSION },
    }),
    sampler: samplerOf(ratio, decides),
    spanLimits: { attributeValueLengthLimit: VALUE_CHARACTERS_MAX, eventCountLimit: EVENTS_MAX },
    spanProcessors: [
      new BatchSpanProcessor({
        exporter,
        ...{ maxQueueSize: QUEUE_SPANS_MAX, scheduledDelayMillis: SEND_EVERY_MS, exportTimeoutMillis: SEND_MS_MAX },
      }),
    ],
  });
  return {
    tracer: otelTracer(provider.getTracer("deltaplane", VERSION)),
    // What is left is sent, or given up: spans are no reason for a process not to end.
    [Symbol.asyncDispose]: () => provider.shutdown().catch(() => undefined),
  };
}
