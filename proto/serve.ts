import type { EventEmitter } from "node:events";
import type {
  Metadata,
  MethodDefinition,
  ServerDuplexStream,
  ServerReadableStream,
  ServerUnaryCall,
  ServerWritableStream,
  sendUnaryData,
  UntypedServiceImplementation,
} from "@grpc/grpc-js";
import { type Clock, Fault, type Millis, parseTraceparent, type TraceContext, toFault } from "#kernel";
import { bearerToken } from "./credential.ts";
import { roomToWrite } from "./room-to-write.ts";
import { faultToStatus } from "./status.ts";
import { Malformed } from "./strict-definition.ts";

/**
 * The one adapter between grpc-js and our handlers. A handler is an async function or generator that throws Faults; the
 * adapter turns any rejection into a status, honours back-pressure, and aborts the handler's signal when the client
 * leaves or its deadline passes. An unhandled rejection in a grpc-js handler would end the process.
 */

/** What a handler knows of its call besides the message. */
export interface CallContext {
  /** `/deltaplane.v1.InferenceService/Generate` */
  readonly path: string;
  /** Aborts with Fault client_gone or deadline_passed. */
  readonly signal: AbortSignal;
  /** When the client gives up, milliseconds since the epoch; absent for never. */
  readonly deadlineAt?: Millis;
  /** The bearer token of the call, if any. */
  readonly credential: string | undefined;
  readonly peer: string;
  /** What the caller says of its own trace. Nothing else of its metadata is taken over. */
  readonly trace?: TraceContext;
}

/** A method of unknown messages: what the adapter sees. The types of a definition reach the handlers through {@link Handlers}. */
// biome-ignore lint/suspicious/noExplicitAny: messages flow in and out, so neither `unknown` nor `never` admits every method.
type AnyMethod = MethodDefinition<any, any>;

/** A service as ts-proto generates it. */
export type Definition = Readonly<Record<string, AnyMethod>>;

type RequestOf<M> = M extends { requestDeserialize: (bytes: Buffer) => infer Q } ? Q : never;
type ResponseOf<M> = M extends { responseDeserialize: (bytes: Buffer) => infer R } ? R : never;
type Handler<M> = M extends { requestStream: false; responseStream: false }
  ? (request: RequestOf<M>, context: CallContext) => Promise<ResponseOf<M>>
  : M extends { requestStream: false; responseStream: true }
    ? (request: RequestOf<M>, context: CallContext) => AsyncIterable<ResponseOf<M>>
    : M extends { requestStream: true; responseStream: false }
      ? (requests: AsyncIterable<RequestOf<M>>, context: CallContext) => Promise<ResponseOf<M>>
      : (requests: AsyncIterable<RequestOf<M>>, context: CallContext) => AsyncIterable<ResponseOf<M>>;

/** One handler per method of a generated service definition. */
export type Handlers<D> = { readonly [K in keyof D]: Handler<D[K]> };

export interface ServeOptions {
  readonly clock: Clock;
  /** A stream whose client takes nothing for this long is ended: it holds a row of the engine. */
  readonly stallMsMax?: Millis;
  /** Told of every call that ends in a fault; `cause` may be logged here, it goes nowhere else. */
  readonly onFault?: (fault: Fault, path: string) => void;
}

/** grpc-js's timer may fire a little before the deadline it was set for. */
const DEADLINE_SLACK_MS: Millis = 5;

/** One turn of the event loop: so long after its end a stream is seen to have been reset. */
const RESET_MS: Millis = 1;

/** Makes a grpc-js implementation of `definition` out of plain handlers. */
export function implement<D extends Definition>(definition: D, handlers: Handlers<D>, options: ServeOptions): UntypedServiceImplementation {
  const implementation: UntypedServiceImplementation = {};
  for (const [name, method] of Object.entries(definition)) {
    const handler = (handlers as Record<string, (...args: unknown[]) => unknown>)[name]!.bind(handlers);
    implementation[name] = method.responseStream ? streaming(handler, method, options) : single(handler, method, options);
  }
  return implementation;
}

type SingleCall = ServerUnaryCall<unknown, unknown> | ServerReadableStream<unknown, unknown>;
type StreamingCall = ServerWritableStream<unknown, unknown> | ServerDuplexStream<unknown, unknown>;
type AnyCall = SingleCall | StreamingCall;

function single(handler: (...args: unknown[]) => unknown, method: AnyMethod, options: ServeOptions) {
  return async (call: SingleCall, reply: sendUnaryData<unknown>) => {
    const { context, over } = callContext(call, method.path, options.clock);
    try {
      reply(null, await handler(input(call, method, context.signal, options.clock), context));
    } catch (error) {
      reply(faultToStatus(report(error, context, options)));
    } finally {
      over();
    }
  };
}

function streaming(handler: (...args: unknown[]) => unknown, method: AnyMethod, options: ServeOptions) {
  return async (call: StreamingCall) => {
    const { context, over } = callContext(call, method.path, options.clock);
    try {
      // Awaited, although a handler gives an iterable at once: one that is an async function by mistake must not end the process.
      const messages = (await handler(input(call, method, context.signal, options.clock), context)) as AsyncIterable<unknown>;
      for await (const message of messages) {
        context.signal.throwIfAborted();
        if (!call.write(message)) await roomToWrite(call, options.clock, context.signal, options.stallMsMax);
      }
      call.end();
    } catch (error) {
      call.emit("error", faultToStatus(report(error, context, options)));
    } finally {
      over();
    }
  };
}

/**
 * The request, or the requests; a message that could not be read is a fault of the client.
 *
 * Node ends a stream that is cancelled before it resets it, so a clean end is shown first: it counts when no reset has
 * followed. A client's own reset may still be on its way: a handler to which a part would be harmful checks the
 * content (size, checksum).
 */
function input(call: AnyCall, method: AnyMethod, signal: AbortSignal, clock: Clock): unknown {
  if (!method.requestStream) return wellFormed((call as ServerUnaryCall<unknown, unknown>).request);
  return (async function* () {
    try {
      for await (const message of call as ServerReadableStream<unknown, unknown>) yield wellFormed(message);
    } catch (error) {
      signal.throwIfAborted(); // A client that left shows as a stream closed too early; the signal knows why.
      throw error;
    }
    await clock.after(RESET_MS, signal);
  })();
}

function wellFormed(message: unknown): unknown {
  if (message instanceof Malformed) throw new Fault("message_malformed", message.why);
  return message;
}

/** The context of a call, and what ends its watch: grpc-js tells of every closed call as cancelled, also after a good end. */
function callContext(call: AnyCall, path: string, clock: Clock): { readonly context: CallContext; readonly over: () => void } {
  const gone = new AbortController();
  // A passed deadline and a client that left are told by the same event.
  const cancelled = () => {
    const passed = Number(call.getDeadline()) <= clock.now() + DEADLINE_SLACK_MS;
    gone.abort(passed ? new Fault("deadline_passed", "the deadline passed") : new Fault("client_gone", "the client went away"));
  };
  const events: EventEmitter = call;
  events.once("cancelled", cancelled);
  const deadline = Number(call.getDeadline());
  const trace = parseTraceparent(call.metadata.get("traceparent")[0]);
  const context = {
    path,
    signal: gone.signal,
    ...(Number.isFinite(deadline) && { deadlineAt: deadline }),
    credential: bearerToken(authorization(call.metadata)),
    peer: call.getPeer(),
    ...(trace && { trace }),
  };
  return { context, over: () => events.removeListener("cancelled", cancelled) };
}

function authorization(metadata: Metadata): string | undefined {
  return metadata.get("authorization")[0]?.toString();
}

function report(error: unknown, context: CallContext, options: ServeOptions): Fault {
  const fault = context.signal.aborted && error === context.signal.reason ? (context.signal.reason as Fault) : toFault(error);
  options.onFault?.(fault, context.path);
  return fault;
}
