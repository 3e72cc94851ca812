import { type Command, Option } from "commander";
import { z } from "zod";
import { type Component, Fault, parseAddress } from "#kernel";
import type { Registry } from "#state";
import type { ComponentDeps } from "../component.ts";
import { createRegistryMetrics } from "./registry-metrics.ts";

/** Of who looks for others. */
export const REGISTRY_OPTIONS = { registry: z.string().optional() } as const;

/** Of who is looked for as well. */
export const MEMBER_OPTIONS = { ...REGISTRY_OPTIONS, name: z.string().optional(), advertise: z.string().optional() } as const;

type MemberOptions = z.infer<z.ZodObject<typeof MEMBER_OPTIONS>>;

export function addRegistryOption(command: Command): Command {
  return command.addOption(
    new Option("--registry <url>", "redis://…, in which the parts of the cluster find each other (docs/discovery.md)").env(
      "DELTAPLANE_REGISTRY",
    ),
  );
}

export function addMemberOptions(command: Command): Command {
  return addRegistryOption(command)
    .addOption(
      new Option("--advertise <host:port>", "how others reach it, for --registry (default: what it listens on)").env(
        "DELTAPLANE_ADVERTISE",
      ),
    )
    .addOption(
      new Option("--name <name>", "of its successors the last one counts, likewise (default: the address)").env("DELTAPLANE_NAME"),
    );
}

/** The registry that the options name; undefined without one. It leaves after everything that is put on `parts` later has ended. */
export async function openRegistry(
  { registry: url }: Pick<MemberOptions, "registry">,
  deps: ComponentDeps,
  parts: AsyncDisposableStack,
): Promise<Registry | undefined> {
  if (url === undefined) return undefined;
  const { openRedisRegistry } = await import("#state");
  const metrics = createRegistryMetrics(deps.registry);
  const registry = parts.use(await openRedisRegistry(url, { ...deps, onFailure: metrics.failed }));
  metrics.follow(() => registry.ageMs());
  return registry;
}

/** From when on somebody can be found in a registry. */
export interface Announcer {
  /** @param port that `listen` came to */
  announce(port: number): void;
}

/**
 * How a part makes itself known: once it listens, and as draining from the signal to stop on.
 *
 * @throws Fault parameter_invalid when nobody could tell where it is
 */
export function announcer(
  kind: Component,
  registry: Registry | undefined,
  options: MemberOptions & { readonly listen: string },
  stop: AbortSignal,
): Announcer {
  if (!registry) return { announce: () => undefined };
  const addressOf = advertisedAddress(options);
  stop.addEventListener("abort", () => registry.drain(), { once: true });
  return {
    announce(port) {
      const address = addressOf(port);
      registry.announce({ kind, name: options.name ?? address, address });
    },
  };
}

function advertisedAddress({ listen, advertise }: MemberOptions & { readonly listen: string }): (port: number) => string {
  if (advertise !== undefined) {
    parseAddress(advertise);
    return () => advertise;
  }
  const { host } = parseAddress(listen);
  if (host === "0.0.0.0" || host === "::") {
    throw new Fault("parameter_invalid", `--registry needs --advertise: ${listen} says nothing about where others reach it`, {
      detail: { field: "advertise" },
    });
  }
  return (port) => `${host.includes(":") ? `[${host}]` : host}:${port}`;
}
