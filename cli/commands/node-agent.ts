import { availableParallelism, hostname } from "node:os";
import { resolve } from "node:path";
import { type Command, Option } from "commander";
import { z } from "zod";
import { parseAddress } from "#kernel";
import { startMetricsServer } from "../cluster/metrics-server.ts";
import { createDeps, readOptions, readSecret, runUntilStopped } from "../component.ts";

const Options = z.object({
  id: z.string(),
  listen: z.string(),
  advertise: z.string().optional(),
  metricsListen: z.string(),
  base: z.array(z.string().regex(/^[^=]+=.+$/, "is not NAME=DIR")).default([]),
  cacheDirectory: z.string(),
  clusterKeyFile: z.string(),
  scheduler: z.array(z.string()).min(1),
  router: z.array(z.string()).min(1),
  threads: z.coerce.number().int().min(1).max(256),
  prefillTokens: z.coerce.number().int().min(1).max(65_536).optional(),
  rows: z.coerce.number().int().min(1).max(1024).optional(),
});

export function addNodeAgentCommand(program: Command): void {
  program
    .command("node-agent")
    .description("one node of a distributed cluster: an engine per base")
    .addOption(new Option("--config <file>", "options as JSON"))
    .addOption(new Option("--id <id>", "unique in the cluster").env("DELTAPLANE_NODE_ID").default(hostname()))
    .addOption(new Option("--listen <host:port>").env("DELTAPLANE_LISTEN").default("0.0.0.0:50053"))
    .addOption(new Option("--advertise <host:port>", "how routers reach it (default: what it listens on)").env("DELTAPLANE_ADVERTISE"))
    .addOption(new Option("--metrics-listen <host:port>").env("DELTAPLANE_METRICS_LISTEN").default("0.0.0.0:9090"))
    .addOption(new Option("--base <name=dir...>", "Hugging Face folders to load at start"))
    .addOption(
      new Option("--cache-directory <dir>", "deltas on disk, claims on their way")
        .env("DELTAPLANE_CACHE_DIRECTORY")
        .default(".deltaplane/node"),
    )
    .addOption(new Option("--cluster-key-file <file>", "the secret of the cluster's parts").env("DELTAPLANE_CLUSTER_KEY_FILE"))
    .addOption(new Option("--scheduler <host:port...>", "where to report").env("DELTAPLANE_SCHEDULERS"))
    .addOption(new Option("--router <host:port...>", "where deltas come from and claims go").env("DELTAPLANE_ROUTERS"))
    .addOption(new Option("--threads <n>", "of each engine").env("DELTAPLANE_THREADS").default(availableParallelism()))
    .addOption(
      new Option(
        "--prefill-tokens <n>",
        "of prompts in one step (default: a tenth of a second's work); fewer shorten everyone's steps",
      ).env("DELTAPLANE_PREFILL_TOKENS"),
    )
    .addOption(
      new Option("--rows <n>", "at most in one batch (default: 32); fewer are faster each, and less together").env("DELTAPLANE_ROWS"),
    )
    .action((flags: Record<string, unknown>) =>
      runUntilStopped(async () => {
        const { startNodeAgent } = await import("#node-agent");
        const options = readOptions(Options, flags);
        const deps = createDeps(options.id);
        await using parts = new AsyncDisposableStack();
        parts.use(await startMetricsServer(deps.registry, parseAddress(options.metricsListen)));
        const agent = parts.use(
          await startNodeAgent(deps, {
            id: options.id,
            listen: options.listen,
            ...(options.advertise === undefined ? {} : { advertise: options.advertise }),
            bases: options.base.map(parseBase),
            cacheDirectory: options.cacheDirectory,
            clusterKey: readSecret(options.clusterKeyFile),
            schedulers: options.scheduler,
            routers: options.router,
            threads: options.threads,
            ...(options.prefillTokens === undefined ? {} : { prefillTokensMax: options.prefillTokens }),
            ...(options.rows === undefined ? {} : { engine: { rowsMax: options.rows } }),
          }),
        );
        deps.log.info({ port: agent.port }, "node agent ready");
        // An orphan serves nobody: the cluster that started this process is gone when the channel to it closes.
        process.once("disconnect", () => process.kill(process.pid, "SIGTERM"));
        process.channel?.unref(); // Listening keeps the channel open, and with it a process that has nothing left to do.
        return parts.move();
      }),
    );
}

function parseBase(text: string): { readonly name: string; readonly directory: string } {
  const [, name, directory] = /^([^=]+)=(.+)$/.exec(text)!;
  return { name: name!, directory: resolve(directory!) };
}
