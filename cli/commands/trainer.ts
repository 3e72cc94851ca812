import { hostname } from "node:os";
import { resolve } from "node:path";
import { type Command, Option } from "commander";
import { z } from "zod";
import { followPeers } from "#kernel";
import { openClusterChannel } from "#proto";
import { openBases, parseBase } from "../cluster/blobs.ts";
import { createDeps, endWithParent, readOptions, runUntilStopped } from "../component.ts";
import { addLifeOptions, LIFE_OPTIONS, lifeFlags, openLife } from "../component-life.ts";
import { peerAddresses } from "../discovery/peer-addresses.ts";
import { addRegistryOption, openRegistry, REGISTRY_OPTIONS } from "../discovery/registry.ts";
import { addKubernetesOptions, KUBERNETES_OPTIONS, kubernetesAccess } from "../kubernetes/kubernetes-access.ts";
import { readNetrc } from "../netrc.ts";

const Options = z.object({
  name: z.string().regex(/^[\w.-]{1,64}$/, "has 1 to 64 letters, digits, dots and dashes"),
  router: z.array(z.string()).default([]),
  ...LIFE_OPTIONS,
  ...KUBERNETES_OPTIONS,
  ...REGISTRY_OPTIONS,
  directory: z.string(),
  base: z.array(z.string().regex(/^[^=]+=.+$/, "is not NAME=DIR")).default([]),
  threads: z.coerce.number().int().min(1).max(256).optional(),
});

export function addTrainerCommand(program: Command): void {
  addRegistryOption(addKubernetesOptions(addLifeOptions(program.command("trainer"))))
    .description("one trainer of a cluster: takes fine-tuning jobs from its routers")
    .addOption(new Option("--name <name>", "what people know it by").env("DELTAPLANE_TRAINER_NAME").default(hostname()))
    .addOption(new Option("--router <host:port...>", "where jobs come from; or kubernetes://<service>:<port>").env("DELTAPLANE_ROUTERS"))
    .addOption(
      new Option("--directory <dir>", "where a job lies while it trains")
        .env("DELTAPLANE_TRAINER_DIRECTORY")
        .default(".deltaplane/trainer"),
    )
    .addOption(new Option("--base <name=dir...>", "bases whose folders, or s3://bucket/prefix, are other ones here than on the nodes"))
    .addOption(new Option("--threads <n>", "of the training's kernels (default: 2)").env("DELTAPLANE_THREADS"))
    .action((_flags: unknown, command: Command) =>
      runUntilStopped(async (stop) => {
        endWithParent();
        const { startTrainer } = await import("#trainer");
        const options = readOptions(Options, lifeFlags(command));
        const deps = createDeps(options.name);
        await using parts = new AsyncDisposableStack();
        const life = await openLife("trainer", options, deps, parts, stop);
        const access = kubernetesAccess(deps, options, parts);
        const registered = (await openRegistry(options, deps, parts))?.discovery("router");
        const addresses = await peerAddresses({ flag: "router", named: options.router, access, registered });
        const open = (address: string) => openClusterChannel(deps.clock, life.credentials, "router", address);
        const routers = parts.use(followPeers(addresses, open));
        const bases = parts.use(openBases(deps, options.directory));
        const trainer = parts.use(
          startTrainer(
            {
              ...deps,
              routers,
              openBaseFolder: (location) => bases.open(location),
              tracking: { env: process.env, netrc: readNetrc(), fetch: globalThis.fetch },
            },
            {
              ...{ name: options.name, directory: resolve(options.directory), bases: options.base.map(parseBase) },
              ...(options.threads !== undefined && { threads: options.threads }),
            },
          ),
        );
        life.readyWhen(() => true);
        deps.log.info({ trainer: trainer.trainerId }, "trainer ready");
        return parts.move();
      }),
    );
}
