import { addAdminServicesToServer, Server, type ServerCredentials, type UntypedServiceImplementation } from "@grpc/grpc-js";
import { loadSync } from "@grpc/proto-loader";
import { ReflectionService } from "@grpc/reflection";
import { HealthImplementation } from "grpc-health-check";
import { type Bytes, type Clock, Fault, MIB, type Millis } from "#kernel";
import { spareClosingSessions } from "./closing-sessions.ts";
import type { Definition } from "./serve.ts";
import { strictDefinition } from "./strict-definition.ts";
import { checkCallers } from "./tls/caller-check.ts";
import { callersOf } from "./tls/callers.ts";
import { type ServerTls, serverCredentials } from "./tls/credentials.ts";

/** One service of a server: its generated definition and what {@link implement} made of the handlers. */
export interface ServedService {
  /** Full name: `deltaplane.v1.InferenceService`. */
  readonly name: string;
  readonly definition: Definition;
  readonly implementation: UntypedServiceImplementation;
}

export interface GrpcServerOptions {
  /** `host:port`; port 0 takes a free one. */
  readonly listen: string;
  readonly services: readonly ServedService[];
  readonly clock: Clock;
  /** Default: in the clear, for loopback and meshes. */
  readonly tls?: ServerTls;
  /** `.proto` files to describe to clients that ask (grpcurl). Off when absent. */
  readonly reflect?: readonly string[];
  /** Channelz, for an operator's port only. */
  readonly channelz?: boolean;
  /** Larger messages are refused; uploads are chunked. */
  readonly messageBytesMax?: Bytes;
  /** How often a connection is asked whether its other end lives. Default: 20 s. */
  readonly keepaliveMs?: Millis;
}

export interface RunningGrpcServer extends AsyncDisposable {
  readonly port: number;
  /** What `grpc.health.v1.Health` answers, for each service and for the whole. */
  setServing(serving: boolean): void;
  /** Stops listening at once, lets running calls end for `graceMs`, then cuts them. Idempotent. */
  drain(graceMs: Millis): Promise<void>;
}

const MESSAGE_BYTES_MAX: Bytes = 4 * MIB;
/** Enough for every header we know of; a metadata value of 100 kB would take the connection's other streams down. */
const METADATA_BYTES_MAX: Bytes = 16 * 1024;
/** Per connection. A router multiplexes all its streams to a node over one. */
const STREAMS_MAX = 4096;
const DRAIN_MS: Millis = 10_000;
const KEEPALIVE_MS: Millis = 20_000;
/** gRPC's own. A client that computes, or shares its cores with many, may well be silent for seconds. */
const KEEPALIVE_TIMEOUT_MS: Millis = 20_000;

/** Starts a gRPC server with health, and reflection and channelz where asked for. */
export async function startGrpcServer(options: GrpcServerOptions): Promise<RunningGrpcServer> {
  spareClosingSessions();
  const server = new Server({
    "grpc.max_receive_message_length": options.messageBytesMax ?? MESSAGE_BYTES_MAX,
    "grpc.max_send_message_length": options.messageBytesMax ?? MESSAGE_BYTES_MAX,
    "grpc.max_metadata_size": METADATA_BYTES_MAX,
    "grpc.max_concurrent_streams": STREAMS_MAX,
    "grpc.keepalive_time_ms": options.keepaliveMs ?? KEEPALIVE_MS,
    "grpc.keepalive_timeout_ms": KEEPALIVE_TIMEOUT_MS,
    "grpc.keepalive_permit_without_calls": 1,
    ...(options.tls?.kind === "mutual" && { interceptors: [checkCallers(options.tls.callers ?? callersOf)] }),
  });
  for (const service of options.services) server.addService(strictDefinition(service.definition), service.implementation);
  const health = new HealthImplementation(
    Object.fromEntries(["", ...options.services.map((s) => s.name)].map((name) => [name, "NOT_SERVING"])),
  );
  health.addToServer(server);
  if (options.reflect) new ReflectionService(loadSync([...options.reflect], { includeDirs: [import.meta.dirname] })).addToServer(server);
  if (options.channelz) addAdminServicesToServer(server);

  const port = await bind(server, options.listen, serverCredentials(options.tls));
  let drained: Promise<void> | undefined;
  const setServing = (serving: boolean) => {
    for (const name of ["", ...options.services.map((service) => service.name)])
      health.setStatus(name, serving ? "SERVING" : "NOT_SERVING");
  };
  const drain = (graceMs: Millis) => {
    setServing(false);
    drained ??= shutDown(server, options.clock, graceMs);
    return drained;
  };
  return { port, setServing, drain, [Symbol.asyncDispose]: () => drain(DRAIN_MS) };
}

/** @throws Fault parameter_invalid for an address that can't be taken */
export function bind(server: Server, listen: string, credentials: ServerCredentials): Promise<number> {
  return new Promise((resolve, reject) => {
    server.bindAsync(listen, credentials, (error, port) => {
      const message = `cannot listen on ${listen}: ${error?.message}`;
      if (error) reject(new Fault("parameter_invalid", message, { detail: { field: "listen" }, cause: error }));
      else resolve(port);
    });
  });
}

async function shutDown(server: Server, clock: Clock, graceMs: Millis): Promise<void> {
  const finished = new AbortController();
  const closed = new Promise<void>((resolve) => server.tryShutdown(() => resolve()));
  const cut = clock.after(graceMs, finished.signal).then(
    () => server.forceShutdown(),
    () => undefined, // Everything ended in time.
  );
  await Promise.race([closed, cut]);
  finished.abort();
  await cut;
}
