import { Server, ServerCredentials } from "@grpc/grpc-js";
import { HealthImplementation } from "grpc-health-check";
import { type Clock, every, type Millis } from "#kernel";
import { bind } from "./server.ts";

export interface HealthServerOptions {
  /** `host:port`; port 0 takes a free one. */
  readonly listen: string;
  /** Whether new work should come here. */
  readonly ready: () => boolean;
}

export interface RunningHealthServer extends AsyncDisposable {
  readonly port: number;
}

/** Below the shortest period of a prober, so that an answer is never about the one before. */
const LOOK_MS: Millis = 200;

/**
 * Answers `grpc.health.v1.Health` and nothing else, in the clear: a kubelet's probe speaks no TLS. `liveness` is whether
 * anything answers at all, `readiness` and the empty name whether new work should come.
 */
export async function startHealthServer(deps: { readonly clock: Clock }, options: HealthServerOptions): Promise<RunningHealthServer> {
  const status = () => (options.ready() ? ("SERVING" as const) : ("NOT_SERVING" as const));
  const health = new HealthImplementation({ "": status(), readiness: status(), liveness: "SERVING" });
  const server = new Server();
  health.addToServer(server);
  const port = await bind(server, options.listen, ServerCredentials.createInsecure());
  const stop = new AbortController();
  let told = status();
  const looking = every(deps.clock, LOOK_MS, stop.signal, () => {
    if (status() === told) return;
    told = status();
    for (const service of ["", "readiness"]) health.setStatus(service, told);
  });
  return {
    port,
    async [Symbol.asyncDispose]() {
      stop.abort();
      await looking;
      server.forceShutdown();
    },
  };
}
