import { readFileSync } from "node:fs";
import { type Command, Option } from "commander";
import { z } from "zod";
import { Fault } from "#kernel";
import { type GrpcChannel, openChannel } from "#proto";
import type { Leases, StateStore } from "#state";
import { bucketOpener } from "../cluster/blobs.ts";
import { readSecret } from "../component.ts";
import { lifeFlags } from "../component-life.ts";
import { deltaSources } from "./delta-sources.ts";
import { addKubernetesOptions, KUBERNETES_OPTIONS, type KubernetesAccess } from "./kubernetes-access.ts";

/** What a scheduler may do with an API server: be elected, and keep the custom resources. */
export const SCHEDULER_KUBERNETES_OPTIONS = {
  ...KUBERNETES_OPTIONS,
  leases: z.enum(["state", "kubernetes"]).optional(),
  controller: z.boolean().default(false),
  router: z.string().optional(),
  adminServer: z.string().optional(),
  routerCa: z.string().optional(),
  operatorKeyFile: z.string().optional(),
  deltaDirectory: z.string().optional(),
} as const;

type Options = z.infer<z.ZodObject<typeof SCHEDULER_KUBERNETES_OPTIONS>>;

export function addSchedulerKubernetesOptions(command: Command): Command {
  return addKubernetesOptions(command)
    .addOption(new Option("--leases <where>", "who leads is agreed on in: state, kubernetes (default: --state)").env("DELTAPLANE_LEASES"))
    .addOption(new Option("--controller", "keep BaseModels, Deltas and Tenants while leading").env("DELTAPLANE_CONTROLLER"))
    .addOption(new Option("--router <host:port>", "the routers' door for customers, for the controller").env("DELTAPLANE_ROUTERS"))
    .addOption(new Option("--admin-server <host:port>", "their door for operators, likewise").env("DELTAPLANE_ADMIN_SERVER"))
    .addOption(new Option("--router-ca <file>", "who signed their certificate (default: in the clear)").env("DELTAPLANE_ROUTER_CA"))
    .addOption(new Option("--operator-key-file <file>", "an operator's key, likewise").env("DELTAPLANE_OPERATOR_KEY_FILE"))
    .addOption(new Option("--delta-directory <dir>", "where the paths of Deltas begin").env("DELTAPLANE_DELTA_DIRECTORY"));
}

/** The flags of a scheduler. `--admin-server` stands for whoever administers a cluster as well, and Commander gives it to the outer command. */
export function schedulerFlags(command: Command): Readonly<Record<string, unknown>> {
  const adminServer: unknown = command.parent?.getOptionValue("adminServer");
  return { ...(adminServer !== undefined && { adminServer }), ...lifeFlags(command) };
}

/** What decides who leads; undefined for a scheduler that is alone. @throws Fault parameter_invalid */
export async function schedulerLeases(
  { leases }: Pick<Options, "leases">,
  store: StateStore | undefined,
  access: () => Promise<KubernetesAccess>,
): Promise<Leases | undefined> {
  if (leases === "kubernetes") {
    const { createKubernetesLeases } = await import("#kubernetes");
    return createKubernetesLeases(await access());
  }
  if (leases === "state" && !store) throw missing("state", "--leases state");
  return store?.leases;
}

/** Keeps the custom resources for as long as this scheduler leads. @throws Fault parameter_invalid, file_missing */
export async function startController(
  options: Options,
  access: () => Promise<KubernetesAccess>,
  leaderEpoch: () => number | undefined,
  parts: AsyncDisposableStack,
): Promise<void> {
  if (!options.controller) return;
  const { operatorKeyFile, deltaDirectory } = options;
  if (operatorKeyFile === undefined) throw missing("operator-key-file", "--controller");
  const deps = await access();
  const credential = readSecret(operatorKeyFile);
  const open = (address: string | undefined, field: string): GrpcChannel => {
    if (address === undefined) throw missing(field, "--controller");
    const tls = options.routerCa === undefined ? {} : { tls: { kind: "roots", roots: readFileSync(options.routerCa) } as const };
    return parts.use(openChannel({ address, credential, clock: deps.clock, ...tls }));
  };
  const doors = { router: open(options.router, "router"), admin: open(options.adminServer, "admin-server") };
  const openSource = deltaSources(deltaDirectory, bucketOpener(deps));
  const { runWhileLeading, startController: start } = await import("#kubernetes");
  parts.use(runWhileLeading(deps, leaderEpoch, (leading) => start({ ...deps, doors, openSource, leading })));
}

function missing(field: string, by: string): Fault {
  return new Fault("parameter_invalid", `${by} needs --${field}`, { detail: { field } });
}
