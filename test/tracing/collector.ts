import { join } from "node:path";
import {
  loadPackageDefinition,
  Server,
  ServerCredentials,
  type ServerUnaryCall,
  type ServiceClientConstructor,
  type sendUnaryData,
} from "@grpc/grpc-js";
import { loadSync } from "@grpc/proto-loader";

export interface CollectedSpan {
  readonly service: string;
  readonly traceId: string;
  readonly spanId: string;
  /** Empty for the first of its trace. */
  readonly parentId: string;
  readonly name: string;
  readonly kind: number;
  readonly failed: boolean;
  readonly attributes: Readonly<Record<string, unknown>>;
  readonly events: readonly { readonly name: string; readonly attributes: Readonly<Record<string, unknown>> }[];
}

/** A collector of traces: OTLP over gRPC, as any backend receives it. */
export interface Collector extends AsyncDisposable {
  readonly endpoint: string;
  readonly spans: CollectedSpan[];
}

interface Wire {
  readonly resourceSpans: readonly {
    readonly resource: { readonly attributes: readonly WireAttribute[] };
    readonly scopeSpans: readonly { readonly spans: readonly WireSpan[] }[];
  }[];
}

interface WireSpan {
  readonly traceId: Buffer;
  readonly spanId: Buffer;
  readonly parentSpanId: Buffer;
  readonly name: string;
  readonly kind: number;
  readonly attributes: readonly WireAttribute[];
  readonly events: readonly { readonly name: string; readonly attributes: readonly WireAttribute[] }[];
  readonly status: { readonly code: number } | null;
}

interface WireAttribute {
  readonly key: string;
  readonly value: WireValue;
}

interface WireValue {
  readonly value: string;
  readonly arrayValue?: { readonly values: readonly WireValue[] };
  readonly [kind: string]: unknown;
}

const PROTO = join(import.meta.dirname, "opentelemetry/trace_service.proto");
const ERROR = 2;

export async function startCollector(): Promise<Collector> {
  const loaded = loadPackageDefinition(loadSync(PROTO, { longs: Number, oneofs: true, defaults: true })) as unknown as {
    opentelemetry: { proto: { collector: { trace: { v1: { TraceService: ServiceClientConstructor } } } } };
  };
  const spans: CollectedSpan[] = [];
  const server = new Server();
  server.addService(loaded.opentelemetry.proto.collector.trace.v1.TraceService.service, {
    Export(call: ServerUnaryCall<Wire, object>, reply: sendUnaryData<object>) {
      spans.push(...read(call.request));
      reply(null, {});
    },
  });
  const port = await new Promise<number>((resolve, reject) =>
    server.bindAsync("127.0.0.1:0", ServerCredentials.createInsecure(), (error, bound) => (error ? reject(error) : resolve(bound))),
  );
  return {
    endpoint: `http://127.0.0.1:${port}`,
    spans,
    async [Symbol.asyncDispose]() {
      server.forceShutdown();
    },
  };
}

function* read({ resourceSpans }: Wire): Generator<CollectedSpan> {
  for (const { resource, scopeSpans } of resourceSpans) {
    const service = String(attributesOf(resource.attributes)["service.name"]);
    for (const span of scopeSpans.flatMap((scope) => scope.spans)) {
      yield {
        ...{ service, name: span.name, kind: span.kind, failed: span.status?.code === ERROR },
        traceId: span.traceId.toString("hex"),
        spanId: span.spanId.toString("hex"),
        parentId: span.parentSpanId.toString("hex"),
        attributes: attributesOf(span.attributes),
        events: span.events.map(({ name, attributes }) => ({ name, attributes: attributesOf(attributes) })),
      };
    }
  }
}

function attributesOf(attributes: readonly WireAttribute[]): Record<string, unknown> {
  return Object.fromEntries(attributes.map(({ key, value }) => [key, readValue(value)]));
}

function readValue(value: WireValue): unknown {
  return value.value === "arrayValue" ? (value.arrayValue?.values ?? []).map(readValue) : value[value.value];
}
