import { hostname } from "node:os";
import { resolve } from "node:path";
import { type Command, Option } from "commander";
import { z } from "zod";
import { openChannel } from "#proto";
import { createDeps, readOptions, readSecret, runUntilStopped } from "../component.ts";
import { readNetrc } from "../netrc.ts";

const Options = z.object({
  name: z.string().regex(/^[\w.-]{1,64}$/, "has 1 to 64 letters, digits, dots and dashes"),
  router: z.string(),
  clusterKeyFile: z.string(),
  directory: z.string(),
  base: z.array(z.string().regex(/^[^=]+=.+$/, "is not NAME=DIR")).default([]),
  threads: z.coerce.number().int().min(1).max(256).optional(),
});

export function addTrainerCommand(program: Command): void {
  program
    .command("trainer")
    .description("one trainer of a cluster: takes fine-tuning jobs from a router")
    .addOption(new Option("--config <file>", "options as JSON"))
    .addOption(new Option("--name <name>", "what people know it by").env("DELTAPLANE_TRAINER_NAME").default(hostname()))
    .addOption(new Option("--router <host:port>", "where jobs come from").env("DELTAPLANE_ROUTER"))
    .addOption(new Option("--cluster-key-file <file>", "the secret of the cluster's parts").env("DELTAPLANE_CLUSTER_KEY_FILE"))
    .addOption(
      new Option("--directory <dir>", "where a job lies while it trains")
        .env("DELTAPLANE_TRAINER_DIRECTORY")
        .default(".deltaplane/trainer"),
    )
    .addOption(new Option("--base <name=dir...>", "bases whose folders are other ones here than on the nodes"))
    .addOption(new Option("--threads <n>", "of the training's kernels (default: 2)").env("DELTAPLANE_THREADS"))
    .action((flags: Record<string, unknown>) =>
      runUntilStopped(async () => {
        const { startTrainer } = await import("#trainer");
        const options = readOptions(Options, flags);
        const deps = createDeps(options.name);
        await using parts = new AsyncDisposableStack();
        const router = parts.use(
          openChannel({ address: options.router, credential: readSecret(options.clusterKeyFile), clock: deps.clock }),
        );
        const trainer = parts.use(
          startTrainer(
            { ...deps, router, tracking: { env: process.env, netrc: readNetrc(), fetch: globalThis.fetch } },
            {
              ...{ name: options.name, directory: resolve(options.directory), bases: options.base.map(parseBase) },
              ...(options.threads !== undefined && { threads: options.threads }),
            },
          ),
        );
        deps.log.info({ trainer: trainer.trainerId }, "trainer ready");
        // An orphan trains for nobody: the cluster that started this process is gone when the channel to it closes.
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
