import { availableParallelism, hostname } from "node:os";
import { type Command, Option } from "commander";
import { z } from "zod";
import { EVICTION_ORDERS, MIB } from "#kernel";
import { openBases, parseBase } from "../cluster/blobs.ts";
import { createDeps, endWithParent, readOptions, runUntilStopped } from "../component.ts";
import { addGraceOptions, addLifeOptions, LIFE_OPTIONS, lifeFlags, openLife } from "../component-life.ts";
import { addBudgetOptions, addEngineOptions, BUDGET_OPTIONS, ENGINE_OPTIONS, mebibytes } from "../devices/engine-options.ts";
import { lookAround, placeEngines } from "../devices/engine-place.ts";
import { peerAddresses } from "../discovery/peer-addresses.ts";
import { addRegistryOption, openRegistry, REGISTRY_OPTIONS } from "../discovery/registry.ts";
import { addKubernetesOptions, KUBERNETES_OPTIONS, kubernetesAccess } from "../kubernetes/kubernetes-access.ts";

/** More than the engine ever tries in a step, whatever is allowed; see its `decodeTokensMax`. */
const DRAFT_TOKENS_MOST = 64;

const Options = z.object({
  id: z.string(),
  listen: z.string(),
  advertise: z.string().optional(),
  base: z.array(z.string().regex(/^[^=]+=.+$/, "is not NAME=DIR")).default([]),
  cacheDirectory: z.string(),
  scheduler: z.array(z.string()).default([]),
  router: z.array(z.string()).default([]),
  ...LIFE_OPTIONS,
  ...KUBERNETES_OPTIONS,
  ...REGISTRY_OPTIONS,
  ...ENGINE_OPTIONS,
  ...BUDGET_OPTIONS,
  threads: z.coerce.number().int().min(1).max(256),
  prefillTokens: z.coerce.number().int().min(1).max(65_536).optional(),
  prefixCache: z.coerce.number().min(0).max(1).optional(),
  speculate: z.coerce.number().int().min(0).max(DRAFT_TOKENS_MOST).optional(),
  rows: z.coerce.number().int().min(1).max(1024).optional(),
  slots: z.coerce.number().int().min(1).max(65_536).optional(),
  ramMib: z.coerce.number().int().min(1).max(16_777_216).optional(),
  diskMib: z.coerce.number().int().min(1).max(16_777_216).optional(),
  eviction: z.enum(["lru", "gdsf", "cost"]),
});

export function addNodeAgentCommand(program: Command): void {
  const command = program.command("node-agent");
  addLifeOptions(command);
  addGraceOptions(command);
  addKubernetesOptions(command);
  addEngineOptions(command);
  addBudgetOptions(command);
  addRegistryOption(command);
  addTuningOptions(command);
  command
    .description("one node of a distributed cluster: an engine per base")
    .addOption(new Option("--id <id>", "unique in the cluster").env("DELTAPLANE_NODE_ID").default(hostname()))
    .addOption(new Option("--listen <host:port>").env("DELTAPLANE_LISTEN").default("0.0.0.0:50053"))
    .addOption(new Option("--advertise <host:port>", "how routers reach it (default: what it listens on)").env("DELTAPLANE_ADVERTISE"))
    .addOption(new Option("--base <name=dir...>", "Hugging Face folders, or s3://bucket/prefix, to load at start"))
    .addOption(
      new Option("--cache-directory <dir>", "deltas on disk, bases from buckets, claims on their way")
        .env("DELTAPLANE_CACHE_DIRECTORY")
        .default(".deltaplane/node"),
    )
    .addOption(new Option("--scheduler <host:port...>", "where to report; or kubernetes://<service>:<port>").env("DELTAPLANE_SCHEDULERS"))
    .addOption(new Option("--router <host:port...>", "where deltas come from and claims go; likewise").env("DELTAPLANE_ROUTERS"))
    .action((_flags: unknown, command: Command) => runUntilStopped((stop) => start(command, stop)));
}

/** What one node does with what it has. */
function addTuningOptions(command: Command): void {
  command
    .addOption(new Option("--threads <n>", "of each engine").env("DELTAPLANE_THREADS").default(availableParallelism()))
    .addOption(
      new Option(
        "--prefill-tokens <n>",
        "of prompts in one step (default: a tenth of a second's work); fewer shorten everyone's steps",
      ).env("DELTAPLANE_PREFILL_TOKENS"),
    )
    .addOption(
      new Option(
        "--prefix-cache <share>",
        "of the KV cache, for the beginnings of prompts that may come again (default: 0.5); 0 keeps none",
      ).env("DELTAPLANE_PREFIX_CACHE"),
    )
    .addOption(
      new Option(
        "--speculate <n>",
        "tokens that a text may try beyond its next one while few texts run (default: 7 with float32, else 0, which tries none)",
      ).env("DELTAPLANE_SPECULATE"),
    )
    .addOption(
      new Option("--rows <n>", "at most in one batch (default: 32); fewer are faster each, and less together").env("DELTAPLANE_ROWS"),
    )
    .addOption(new Option("--slots <n>", "deltas in one engine at a time (default: 64)").env("DELTAPLANE_SLOTS"))
    .addOption(new Option("--ram-mib <n>", "deltas in memory (default: 1024)").env("DELTAPLANE_RAM_MIB"))
    .addOption(new Option("--disk-mib <n>", "deltas on disk (default: 16384)").env("DELTAPLANE_DISK_MIB"))
    .addOption(
      new Option("--eviction <order>", "which delta leaves first: longest unused, or cheap to have again for its size and use")
        .choices(Object.keys(EVICTION_ORDERS))
        .env("DELTAPLANE_EVICTION")
        .default("lru"),
    );
}

async function start(command: Command, stop: AbortSignal): Promise<AsyncDisposable> {
  endWithParent();
  const { chooseCompute, startNodeAgent } = await import("#node-agent");
  const options = readOptions(Options, lifeFlags(command));
  const compute = chooseCompute(options.ep, options.weights);
  const { device, room } = placeEngines(options.ep, mebibytes(options.memoryMib), lookAround());
  const deps = createDeps(options.id);
  await using parts = new AsyncDisposableStack();
  const life = await openLife("node-agent", options, deps, parts, stop);
  const bases = parts.use(openBases(deps, options.cacheDirectory));
  const access = kubernetesAccess(deps, options, parts);
  const registry = await openRegistry(options, deps, parts);
  const peers = (kind: "scheduler" | "router") =>
    peerAddresses({ flag: kind, named: options[kind], access, registered: registry?.discovery(kind) });
  const agent = parts.use(
    await startNodeAgent(
      { ...deps, tracer: life.tracer, openBaseFolder: (location) => bases.open(location, stop) },
      {
        ...{ id: options.id, listen: options.listen, cacheDirectory: options.cacheDirectory },
        ...(options.advertise === undefined ? {} : { advertise: options.advertise }),
        bases: options.base.map(parseBase),
        ...life.credentials,
        grace: life.grace,
        schedulers: await peers("scheduler"),
        routers: await peers("router"),
        ...{ compute, device, memory: room },
        ...tuningOf(options),
      },
    ),
  );
  life.readyWhen(() => agent.ready());
  deps.log.info({ port: agent.port }, "node agent ready");
  return parts.move();
}

/** What was said, in the agent's words; the rest has its defaults there. */
function tuningOf(options: z.infer<typeof Options>) {
  return {
    threads: options.threads,
    ...(options.prefillTokens !== undefined && { prefillTokensMax: options.prefillTokens }),
    ...(options.prefixCache !== undefined && { prefixShare: options.prefixCache }),
    ...(options.speculate !== undefined && { draftTokensMax: options.speculate }),
    engine: {
      ...(options.rows !== undefined && { rowsMax: options.rows }),
      ...(options.slots !== undefined && { slotsMax: options.slots }),
      ...(options.kvMib !== undefined && { kvBytesMax: options.kvMib * MIB }),
      ...(options.tablesMib !== undefined && { tableBytesMax: options.tablesMib * MIB }),
    },
    deltas: {
      eviction: EVICTION_ORDERS[options.eviction],
      ...(options.ramMib !== undefined && { ramBytesMax: options.ramMib * MIB }),
      ...(options.diskMib !== undefined && { diskBytesMax: options.diskMib * MIB }),
    },
  };
}
