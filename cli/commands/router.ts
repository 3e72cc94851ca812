import { join } from "node:path";
import { type Command, Option } from "commander";
import { z } from "zod";
import { BLOB_URLS } from "#blobs";
import { SECOND } from "#kernel";
import type { RouterOptions } from "#router";
import { openBlobs } from "../cluster/blobs.ts";
import { CONSOLE_DIRECTORY } from "../cluster/console-directory.ts";
import { openStore, STATE_URLS } from "../cluster/store.ts";
import { createDeps, readOptions, runUntilStopped } from "../component.ts";
import { addGraceOptions, addLifeOptions, LIFE_OPTIONS, lifeFlags, openLife } from "../component-life.ts";
import { peerAddresses } from "../discovery/peer-addresses.ts";
import { addMemberOptions, announcer, MEMBER_OPTIONS, openRegistry } from "../discovery/registry.ts";
import { addKubernetesOptions, KUBERNETES_OPTIONS, kubernetesAccess } from "../kubernetes/kubernetes-access.ts";
import { prepareInProcess } from "../preparation/prepare-in-process.ts";
import { VERSION } from "../version.ts";

const Options = z.object({
  grpcListen: z.string(),
  adminListen: z.string(),
  httpListen: z.string(),
  scheduler: z.array(z.string()).default([]),
  dataDirectory: z.string(),
  state: z.string().optional(),
  blobs: z.string().optional(),
  wake: z.array(z.string()).default([]),
  wakeCooldownSeconds: z.coerce.number().min(0).max(86_400).optional(),
  clusterListen: z.string().optional(),
  publicTlsCert: z.string().optional(),
  publicTlsKey: z.string().optional(),
  ...LIFE_OPTIONS,
  ...KUBERNETES_OPTIONS,
  ...MEMBER_OPTIONS,
});

/** For the cluster's own parts, once they show certificates: their door then is another than the customers'. */
const CLUSTER_LISTEN = "0.0.0.0:50055";

export function addRouterCommand(program: Command): void {
  addMemberOptions(addKubernetesOptions(addGraceOptions(addLifeOptions(program.command("router")))))
    .description("one router of a distributed cluster")
    .addOption(new Option("--grpc-listen <host:port>").env("DELTAPLANE_GRPC_LISTEN").default("0.0.0.0:50051"))
    .addOption(new Option("--admin-listen <host:port>", "gRPC for operators").env("DELTAPLANE_ADMIN_LISTEN").default("127.0.0.1:50052"))
    .addOption(new Option("--http-listen <host:port>").env("DELTAPLANE_HTTP_LISTEN").default("0.0.0.0:8080"))
    .addOption(
      new Option("--cluster-listen <host:port>", `gRPC for nodes and trainers alone (default: ${CLUSTER_LISTEN} with --tls-cert)`).env(
        "DELTAPLANE_CLUSTER_LISTEN",
      ),
    )
    .addOption(new Option("--public-tls-cert <file>", "of the doors for customers and operators").env("DELTAPLANE_PUBLIC_TLS_CERT"))
    .addOption(new Option("--public-tls-key <file>", "its key").env("DELTAPLANE_PUBLIC_TLS_KEY"))
    .addOption(
      new Option("--scheduler <host:port...>", "where to watch the cluster; or kubernetes://<service>:<port>").env("DELTAPLANE_SCHEDULERS"),
    )
    .addOption(
      new Option("--data-directory <dir>", "uploaded deltas and claims on their way")
        .env("DELTAPLANE_DATA_DIRECTORY")
        .default(".deltaplane/router"),
    )
    .addOption(new Option("--state <url>", `${STATE_URLS} (default: file:state.db in the data directory)`).env("DELTAPLANE_STATE"))
    .addOption(
      new Option("--wake <base...>", "may have no node: requests wait until one comes up (all: every base)").env("DELTAPLANE_WAKE"),
    )
    .addOption(
      new Option("--wake-cooldown-seconds <n>", "so long after its last request such a base is wanted (default: 300)").env(
        "DELTAPLANE_WAKE_COOLDOWN_SECONDS",
      ),
    )
    .addOption(
      new Option("--blobs <url>", `deltas, files and checkpoints: ${BLOB_URLS} (default: the data directory); routers share it`).env(
        "DELTAPLANE_BLOBS",
      ),
    )
    .action((_flags: unknown, command: Command) =>
      runUntilStopped(async (stop) => {
        const { startRouter } = await import("#router");
        const { keepFirstKey } = await import("../cluster/first-key.ts");
        const options = readOptions(Options, lifeFlags(command));
        const deps = createDeps("router");
        await using parts = new AsyncDisposableStack();
        const life = await openLife("router", options, deps, parts, stop);
        const registry = await openRegistry(options, deps, parts);
        const door = clusterDoor(options);
        const announced = announcer("router", registry, { ...options, listen: door.clusterListen ?? options.grpcListen }, stop);
        const publicTls = await life.certificate("public", publicFiles(options));
        const store = parts.use(await openStore(options.state ?? `file:${join(options.dataDirectory, "state.db")}`, deps.log));
        await keepFirstKey(store, deps, join(options.dataDirectory, "admin-key"));
        const blobs = parts.use(await openBlobs(deps, options.blobs ?? `file:${options.dataDirectory}`, options.dataDirectory));
        const router = parts.use(
          await startRouter(
            { ...deps, store, blobs, tracer: life.tracer, prepareData: prepareInProcess },
            {
              grpcListen: options.grpcListen,
              adminListen: options.adminListen,
              httpListen: options.httpListen,
              consoleDirectory: CONSOLE_DIRECTORY,
              schedulers: await peerAddresses({
                ...{ flag: "scheduler", named: options.scheduler },
                ...{ access: kubernetesAccess(deps, options, parts), registered: registry?.discovery("scheduler") },
              }),
              ...life.credentials,
              ...door,
              ...(publicTls && { publicTls }),
              grace: life.grace,
              ...wakeOf(options),
              dataDirectory: options.dataDirectory,
              version: VERSION,
            },
          ),
        );
        life.readyWhen(() => router.ready());
        const { grpcPort, adminPort, httpPort, clusterPort } = router;
        announced.announce(clusterPort ?? grpcPort);
        deps.log.info({ grpcPort, adminPort, httpPort, clusterPort }, "router ready");
        return parts.move();
      }),
    );
}

function wakeOf({ wake, wakeCooldownSeconds }: z.infer<typeof Options>): Pick<RouterOptions, "wake"> {
  const bases = wake.flatMap((names) => names.split(/[\s,]+/)).filter(Boolean); // The environment has them in one text.
  if (bases.length === 0) return {};
  const cooldown = wakeCooldownSeconds === undefined ? {} : { cooldownMs: wakeCooldownSeconds * SECOND };
  return { wake: { bases: bases.includes("all") ? "all" : bases, ...cooldown } };
}

function clusterDoor({ clusterListen, tlsCert }: z.infer<typeof Options>): { readonly clusterListen?: string } {
  const listen = clusterListen ?? (tlsCert === undefined ? undefined : CLUSTER_LISTEN);
  return listen === undefined ? {} : { clusterListen: listen };
}

function publicFiles({ publicTlsCert, publicTlsKey }: z.infer<typeof Options>) {
  return { ...(publicTlsCert && { certificateFile: publicTlsCert }), ...(publicTlsKey && { keyFile: publicTlsKey }) };
}
