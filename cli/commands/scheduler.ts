import { type Command, Option } from "commander";
import { z } from "zod";
import { parseAddress } from "#kernel";
import { startMetricsServer } from "../cluster/metrics-server.ts";
import { createDeps, readOptions, readSecret, runUntilStopped } from "../component.ts";

const Options = z.object({ listen: z.string(), clusterKeyFile: z.string(), metricsListen: z.string() });

export function addSchedulerCommand(program: Command): void {
  program
    .command("scheduler")
    .description("one scheduler of a distributed cluster")
    .addOption(new Option("--config <file>", "options as JSON"))
    .addOption(new Option("--listen <host:port>").env("DELTAPLANE_LISTEN").default("0.0.0.0:50054"))
    .addOption(new Option("--cluster-key-file <file>", "the secret of the cluster's parts").env("DELTAPLANE_CLUSTER_KEY_FILE"))
    .addOption(new Option("--metrics-listen <host:port>").env("DELTAPLANE_METRICS_LISTEN").default("0.0.0.0:9090"))
    .action((flags: Record<string, unknown>) =>
      runUntilStopped(async () => {
        const { startScheduler } = await import("#scheduler/service");
        const options = readOptions(Options, flags);
        const deps = createDeps("scheduler");
        await using parts = new AsyncDisposableStack();
        parts.use(await startMetricsServer(deps.registry, parseAddress(options.metricsListen)));
        const scheduler = parts.use(await startScheduler(deps, { listen: options.listen, clusterKey: readSecret(options.clusterKeyFile) }));
        deps.log.info({ port: scheduler.port }, "scheduler ready");
        return parts.move();
      }),
    );
}
