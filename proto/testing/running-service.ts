import { expect } from "vitest";
import { Fault, systemClock } from "#kernel";
import { type GrpcChannel, openChannel } from "../channel.ts";
import { ClusterServiceService } from "../generated/deltaplane/v1/cluster.ts";
import { CountTokensRequest, GenerateRequest, GenerateResponse, InferenceServiceService } from "../generated/deltaplane/v1/inference.ts";
import { type Handlers, implement, type ServeOptions } from "../serve.ts";
import { type GrpcServerOptions, startGrpcServer } from "../server.ts";

/** Real servers and channels for the tests of this folder. */

type Inference = Handlers<typeof InferenceServiceService>;
type Cluster = Handlers<typeof ClusterServiceService>;

const unused = async () => {
  throw new Fault("op_unsupported", "not in this test");
};
const unusedStream = async function* () {
  yield* [];
  await unused();
};

/** What {@link disposeOpened} disposes. */
export const opened: AsyncDisposable[] = [];
/** Call it after each test. */
export async function disposeOpened(): Promise<void> {
  for (const thing of opened.splice(0).reverse()) await thing[Symbol.asyncDispose]();
}

/** A real server with these handlers, a channel to it, and the faults it was told of. */
export async function serve(
  handlers: { inference?: Partial<Inference>; cluster?: Partial<Cluster> },
  options: Partial<ServeOptions & GrpcServerOptions> = {},
) {
  const faults: Fault[] = [];
  const serving: ServeOptions = { clock: systemClock, onFault: (fault) => faults.push(fault), ...options };
  const inference: Inference = { generate: unusedStream, score: unused, countTokens: unused, ...handlers.inference };
  const cluster: Cluster = { report: unused, watchSnapshot: unusedStream, drainNode: unused, ...handlers.cluster };
  const server = await startGrpcServer({
    listen: "127.0.0.1:0",
    clock: systemClock,
    services: [
      {
        name: "deltaplane.v1.InferenceService",
        definition: InferenceServiceService,
        implementation: implement(InferenceServiceService, inference, serving),
      },
      {
        name: "deltaplane.v1.ClusterService",
        definition: ClusterServiceService,
        implementation: implement(ClusterServiceService, cluster, serving),
      },
    ],
    ...(options.reflect && { reflect: options.reflect }),
    ...(options.tls && { tls: options.tls }),
    ...(options.keepaliveMs && { keepaliveMs: options.keepaliveMs }),
  });
  const channel = openChannel({ address: `127.0.0.1:${server.port}`, clock: systemClock, credential: "secret" });
  opened.push({ [Symbol.asyncDispose]: () => server.drain(0) }, channel);
  return { server, channel, faults };
}

export const countTokens = (channel: GrpcChannel, options = {}) =>
  channel.unary(InferenceServiceService.countTokens, CountTokensRequest.create({ model: "m" }), options);
export const generate = (channel: GrpcChannel, options = {}) =>
  channel.serverStream(InferenceServiceService.generate, GenerateRequest.create({ model: "m" }), options)[Symbol.asyncIterator]();
export const piece = (text: string) => GenerateResponse.create({ text });
export const until = (condition: () => boolean) => expect.poll(condition, { interval: 2, timeout: 5000 }).toBe(true);

/** Does nothing until its call is over, and then tells why that was. */
export const waiting = () => {
  const reasons: unknown[] = [];
  const wait = (signal: AbortSignal) =>
    new Promise<never>((_, reject) => {
      signal.addEventListener("abort", () => {
        reasons.push(signal.reason);
        reject(signal.reason);
      });
    });
  return { reasons, wait };
};
