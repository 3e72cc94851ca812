import { Client, Metadata, type MethodDefinition, type ServiceError } from "@grpc/grpc-js";
import { type Bytes, type Clock, type Component, Fault, MIB, type Millis } from "#kernel";
import { spareClosingSessions } from "./closing-sessions.ts";
import { connecting } from "./connecting.ts";
import { ReceivedMessages } from "./received-messages.ts";
import { statusToFault } from "./status.ts";
import type { CertificateSource } from "./tls/certificate-watch.ts";
import { type ChannelTls, channelCredentials } from "./tls/credentials.ts";

/** A connection to one gRPC server, with our faults and signals instead of grpc-js's events. */
export interface GrpcChannel extends AsyncDisposable {
  unary<Q, R>(method: MethodDefinition<Q, R>, request: Q, options?: CallOptions): Promise<R>;
  /** Pulls: what is not read stays in the transport's window. Breaking out of the loop cancels the call. */
  serverStream<Q, R>(method: MethodDefinition<Q, R>, request: Q, options?: StreamOptions): AsyncIterable<R>;
  /** Sends as fast as the transport takes; resolves with the answer. */
  clientStream<Q, R>(method: MethodDefinition<Q, R>, requests: AsyncIterable<Q>, options?: CallOptions): Promise<R>;
}

export interface CallOptions {
  readonly signal?: AbortSignal;
  /** The call ends with Fault deadline_passed after this long. The deadline travels with the call. */
  readonly timeoutMs?: Millis;
}

export interface StreamOptions extends CallOptions {
  /** What a failed call means to its reader. Default: what the server said. */
  readonly explain?: (fault: Fault) => unknown;
}

export interface ChannelOptions {
  /** `host:port` */
  readonly address: string;
  /** Bearer token of every call. */
  readonly credential?: string;
  readonly clock: Clock;
  /** Default: in the clear. */
  readonly tls?: ChannelTls;
  /** A connection that does not answer a ping within `keepaliveTimeoutMs` is dead. Default: 20 s and 10 s; inside the cluster {@link CLUSTER_KEEPALIVE}. */
  readonly keepaliveMs?: Millis;
  readonly keepaliveTimeoutMs?: Millis;
  /** A call that finds no connection waits so long for one; keepalive watches over those that are there only. Default: as long as the call may take. */
  readonly connectMsMax?: Millis;
  readonly messageBytesMax?: Bytes;
}

const MESSAGE_BYTES_MAX: Bytes = 16 * MIB;

/** Opens a channel; it connects on first use and again after every loss. */
export function openChannel(options: ChannelOptions): GrpcChannel {
  spareClosingSessions();
  const client = new Client(options.address, channelCredentials(options.tls), {
    // A name for the handshake: parts of the cluster are known by what they are, and have addresses only.
    ...(options.tls?.kind === "mutual" && { "grpc.ssl_target_name_override": `${options.tls.server}.deltaplane` }),
    "grpc.keepalive_time_ms": options.keepaliveMs ?? 20_000,
    "grpc.keepalive_timeout_ms": options.keepaliveTimeoutMs ?? 10_000,
    "grpc.keepalive_permit_without_calls": 1,
    "grpc.max_receive_message_length": options.messageBytesMax ?? MESSAGE_BYTES_MAX,
    "grpc.max_reconnect_backoff_ms": 1_000,
    "grpc.initial_reconnect_backoff_ms": 100,
    // Retries are decided where the request is understood, not in the transport.
    "grpc.enable_retries": 0,
    // Two channels to one address must not share a fate.
    "grpc.use_local_subchannel_pool": 1,
  });
  const metadata = () => {
    const sent = new Metadata();
    if (options.credential !== undefined) sent.set("authorization", `Bearer ${options.credential}`);
    return sent;
  };
  const connect = options.connectMsMax === undefined ? undefined : connecting(client, options.clock, options.connectMsMax);
  const deadline = ({ timeoutMs }: { readonly timeoutMs?: Millis | undefined }) =>
    timeoutMs === undefined ? {} : { deadline: options.clock.now() + timeoutMs };

  return {
    async unary(method, request, call = {}) {
      await connect?.();
      call.signal?.throwIfAborted();
      return new Promise((resolve, reject) => {
        const running = client.makeUnaryRequest(
          method.path,
          method.requestSerialize,
          method.responseDeserialize,
          request,
          metadata(),
          deadline(call),
          (error, response) => settle(error, response, call, resolve, reject, release),
        );
        const release = cancelOn(call.signal, () => running.cancel());
      });
    },

    serverStream(method, request, { signal, timeoutMs, explain = (fault: Fault) => fault } = {}) {
      const open = async () => {
        await connect?.();
        signal?.throwIfAborted();
        const { path, requestSerialize, responseDeserialize } = method;
        return client.makeServerStreamRequest(path, requestSerialize, responseDeserialize, request, metadata(), deadline({ timeoutMs }));
      };
      const meaning = (error: unknown) => explain(error instanceof Fault ? error : statusToFault(error as ServiceError));
      return new ReceivedMessages(open, { signal, meaning });
    },

    async clientStream(method, requests, call = {}) {
      await connect?.();
      call.signal?.throwIfAborted();
      return new Promise((resolve, reject) => {
        const stream = client.makeClientStreamRequest(
          method.path,
          method.requestSerialize,
          method.responseDeserialize,
          metadata(),
          deadline(call),
          (error, response) => {
            over.abort();
            settle(error, response, call, resolve, reject, release);
          },
        );
        const over = new AbortController();
        const release = cancelOn(call.signal, () => stream.cancel());
        send(requests, stream, over.signal).catch((error: unknown) => {
          reject(error); // The source failed: the server must not take what came so far for the whole.
          stream.cancel();
        });
      });
    },

    async [Symbol.asyncDispose]() {
      client.close();
    },
  };
}

function settle<R>(
  error: ServiceError | null,
  response: R | undefined,
  call: CallOptions,
  resolve: (value: R) => void,
  reject: (error: unknown) => void,
  release: () => void,
): void {
  release();
  if (!error) resolve(response as R);
  else reject(call.signal?.aborted ? call.signal.reason : statusToFault(error));
}

/** Calls `cancel` when the signal aborts; returns what ends the watch. */
function cancelOn(signal: AbortSignal | undefined, cancel: () => void): () => void {
  if (!signal) return () => undefined;
  signal.addEventListener("abort", cancel, { once: true });
  return () => signal.removeEventListener("abort", cancel);
}

interface Sink<Q> {
  write(message: Q): boolean;
  end(): void;
  once(event: "drain" | "close", listener: () => void): unknown;
  off(event: "drain" | "close", listener: () => void): unknown;
}

async function send<Q>(requests: AsyncIterable<Q>, stream: Sink<Q>, over: AbortSignal): Promise<void> {
  for await (const request of requests) {
    if (over.aborted) return;
    if (!stream.write(request)) await writable(stream, over);
  }
  if (!over.aborted) stream.end();
}

/** Waits until the transport takes more, or the call is over. */
async function writable<Q>(stream: Sink<Q>, over: AbortSignal): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const done = () => resolve();
  stream.once("drain", done);
  stream.once("close", done);
  over.addEventListener("abort", done);
  if (over.aborted) resolve();
  await promise;
  stream.off("drain", done); // A long stream waits thousands of times.
  stream.off("close", done);
  over.removeEventListener("abort", done);
}

/** How calls inside the cluster notice a hung peer, also when no bytes flow: within 1.7 s, for a promise of 2. */
const CLUSTER_KEEPALIVE = { keepaliveMs: 500, keepaliveTimeoutMs: 1_200, connectMsMax: 1_500 } as const;

/** How the parts of a cluster prove to each other that they are. */
export interface ClusterCredentials {
  /** What routers, schedulers and nodes show each other. */
  readonly clusterKey: string;
  /** Default: in the clear. */
  readonly tls?: CertificateSource;
}

/** Opens a channel from one part of the cluster to another. */
export function openClusterChannel(clock: Clock, credentials: ClusterCredentials, to: Component, address: string): GrpcChannel {
  const { clusterKey, tls } = credentials;
  const mutual = tls && ({ kind: "mutual", certificate: tls, server: to } as const);
  return openChannel({ address, credential: clusterKey, clock, ...CLUSTER_KEEPALIVE, ...(mutual && { tls: mutual }) });
}
