import { join } from "node:path";
import { type Command, Option } from "commander";
import { z } from "zod";
import { parseAddress } from "#kernel";
import { startMetricsServer } from "../cluster/metrics-server.ts";
import { openStore, STATE_URLS } from "../cluster/store.ts";
import { createDeps, readOptions, readSecret, runUntilStopped } from "../component.ts";
import { VERSION } from "../version.ts";

const Options = z.object({
  grpcListen: z.string(),
  adminListen: z.string(),
  httpListen: z.string(),
  metricsListen: z.string(),
  scheduler: z.array(z.string()).min(1),
  clusterKeyFile: z.string(),
  dataDirectory: z.string(),
  state: z.string().optional(),
});

export function addRouterCommand(program: Command): void {
  program
    .command("router")
    .description("one router of a distributed cluster")
    .addOption(new Option("--config <file>", "options as JSON"))
    .addOption(new Option("--grpc-listen <host:port>").env("DELTAPLANE_GRPC_LISTEN").default("0.0.0.0:50051"))
    .addOption(new Option("--admin-listen <host:port>", "gRPC for operators").env("DELTAPLANE_ADMIN_LISTEN").default("127.0.0.1:50052"))
    .addOption(new Option("--http-listen <host:port>").env("DELTAPLANE_HTTP_LISTEN").default("0.0.0.0:8080"))
    .addOption(new Option("--metrics-listen <host:port>").env("DELTAPLANE_METRICS_LISTEN").default("0.0.0.0:9090"))
    .addOption(new Option("--scheduler <host:port...>", "where to watch the cluster").env("DELTAPLANE_SCHEDULERS"))
    .addOption(new Option("--cluster-key-file <file>", "the secret of the cluster's parts").env("DELTAPLANE_CLUSTER_KEY_FILE"))
    .addOption(
      new Option("--data-directory <dir>", "uploaded deltas and claims on their way")
        .env("DELTAPLANE_DATA_DIRECTORY")
        .default(".deltaplane/router"),
    )
    .addOption(new Option("--state <url>", `${STATE_URLS} (default: file:state.db in the data directory)`).env("DELTAPLANE_STATE"))
    .action((flags: Record<string, unknown>) =>
      runUntilStopped(async () => {
        const { startRouter } = await import("#router");
        const { keepFirstKey } = await import("../cluster/first-key.ts");
        const options = readOptions(Options, flags);
        const deps = createDeps("router");
        await using parts = new AsyncDisposableStack();
        const store = parts.use(await openStore(options.state ?? `file:${join(options.dataDirectory, "state.db")}`, deps.log));
        await keepFirstKey(store, deps, join(options.dataDirectory, "admin-key"));
        parts.use(await startMetricsServer(deps.registry, parseAddress(options.metricsListen)));
        const router = parts.use(
          await startRouter(
            { ...deps, store },
            {
              grpcListen: options.grpcListen,
              adminListen: options.adminListen,
              httpListen: options.httpListen,
              schedulers: options.scheduler,
              clusterKey: readSecret(options.clusterKeyFile),
              dataDirectory: options.dataDirectory,
              version: VERSION,
            },
          ),
        );
        deps.log.info({ grpcPort: router.grpcPort, adminPort: router.adminPort, httpPort: router.httpPort }, "router ready");
        return parts.move();
      }),
    );
}
