import { readdirSync } from "node:fs";
import { join } from "node:path";
import type { MethodDefinition } from "@grpc/grpc-js";
import { loadSync } from "@grpc/proto-loader";
import type { GrpcChannel } from "#proto";
import * as proto from "#proto";
import { RULES, type Rule } from "../../router/grpc/rules.ts";
import type { Door } from "./live-system.ts";

// biome-ignore lint/suspicious/noExplicitAny: the methods of all services, whatever their messages.
export type AnyMethod = MethodDefinition<any, any>;

export interface Rpc {
  readonly method: AnyMethod;
  readonly door: Door;
  readonly rule: Rule | undefined;
}

/** Who serves what. A service that is not named here fails the test. */
const DOORS: Readonly<Record<string, Door>> = {
  InferenceService: "customers",
  ModelService: "customers",
  BillingService: "customers",
  FineTuningService: "customers",
  TrainingService: "customers",
  AdminService: "operators",
  NodeService: "node",
  ClusterService: "scheduler",
};

const PROTO = join(import.meta.dirname, "../../proto");

/** Every RPC that the `.proto` files describe, as paths. */
export function describedRpcs(): readonly string[] {
  const files = readdirSync(join(PROTO, "deltaplane/v1")).map((file) => `deltaplane/v1/${file}`);
  const loaded = loadSync(files, { includeDirs: [PROTO] });
  return Object.values(loaded)
    .flatMap((definition) => ("format" in definition ? [] : Object.values(definition as Record<string, { path: string }>)))
    .map(({ path }) => path)
    .sort();
}

/** Every RPC of the generated code, with the door that serves it and its rule. Nodes and schedulers know one rule only. */
export const RPCS: readonly Rpc[] = Object.entries(proto)
  .filter(([name, value]) => name.endsWith("Service") && typeof value === "object")
  .flatMap(([, definition]) => Object.values(definition as unknown as Record<string, AnyMethod>))
  .map((method) => {
    const service = method.path.split(/[./]/).at(-2)!;
    const door = DOORS[service];
    if (!door) throw new Error(`say in DOORS who serves ${service}`);
    const rule: Rule | undefined = door === "node" || door === "scheduler" ? "cluster" : RULES[method.path];
    return { method, door, rule };
  });

/** Calls an RPC with one request, whatever its shape. A stream is left after its first message: some never end. */
export async function call(channel: GrpcChannel, method: AnyMethod, request: unknown): Promise<unknown> {
  const options = { timeoutMs: 10_000 };
  if (method.requestStream) return channel.clientStream(method, only(request), options);
  if (!method.responseStream) return channel.unary(method, request, options);
  for await (const message of channel.serverStream(method, request, options)) return message;
  return undefined;
}

export function emptyRequest(method: AnyMethod): unknown {
  return method.requestDeserialize(Buffer.alloc(0));
}

async function* only<T>(message: T): AsyncGenerator<T> {
  yield message;
}
