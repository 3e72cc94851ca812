import { type Millis, parseAddress } from "#kernel";
import { Preparations } from "./fine-tuning/index.ts";
import { startAdminDoor, startGrpcDoor } from "./grpc/index.ts";
import { readConsole, startHttpServer } from "./http/index.ts";
import { removeModel } from "./models/index.ts";
import { keepResidencyHistory } from "./nodes/index.ts";
import type { RouterDeps, RouterOptions } from "./router.ts";
import type { RouterParts } from "./router-parts.ts";

export interface RouterDoors {
  readonly grpcPort: number;
  readonly adminPort: number | undefined;
  readonly httpPort: number | undefined;
  /** Of the cluster's own parts. */
  readonly clusterPort: number | undefined;
  /** What they say of themselves. Who asks over HTTP when they do not serve has to connect again for the next request. */
  setServing(serving: boolean): void;
  /** Lets running answers end for `graceMs`, then cuts them. */
  drain(graceMs: Millis): Promise<void>;
}

/** Opens the doors that are wanted; each is closed first should the next one fail. */
export async function openDoors(
  deps: RouterDeps,
  options: RouterOptions,
  started: AsyncDisposableStack,
  parts: RouterParts,
): Promise<RouterDoors> {
  const { core, models, access, ledger, prices, keyUses } = parts;
  const { journal, meters } = deps.store;
  const guard = { authenticate: core.authenticate, access, clusterKey: options.clusterKey };
  const { files: tenantFiles, fineTuning } = parts;
  const doorDeps = { ...models, ...guard, core, ledger, prices, journal, tenantFiles, fineTuning };
  const { clusterListen, tls, publicTls } = options;
  const secured = publicTls && ({ tls: { kind: "server", certificate: publicTls } } as const);
  const open = { door: clusterListen === undefined ? ("all" as const) : ("customers" as const), ...secured };
  const grpc = started.use(await startGrpcDoor(doorDeps, { listen: options.grpcListen, ...open }));
  const mutual = tls && ({ tls: { kind: "mutual", certificate: tls } } as const);
  const forParts = clusterListen === undefined ? undefined : ({ listen: clusterListen, door: "cluster", ...mutual } as const);
  const cluster = forParts && started.use(await startGrpcDoor(doorDeps, forParts));
  const adminDeps = {
    ...{ ...models, ...guard, cluster: parts.cluster, keyUses, meters, journal, randomSecret: deps.randomSecret },
    requestsRunning: () => parts.slots.running,
    claimsPending: () => parts.outbox.pending,
    version: options.version ?? "",
  };
  const { adminListen, httpListen } = options;
  const admin = adminListen === undefined ? undefined : started.use(await startAdminDoor(adminDeps, { listen: adminListen, ...secured }));
  const http = httpListen === undefined ? undefined : await openHttp(deps, started, parts, httpListen, options);
  return {
    ...{ grpcPort: grpc.port, adminPort: admin?.port, httpPort: http?.port, clusterPort: cluster?.port },
    setServing(serving) {
      for (const door of [grpc, admin, cluster]) door?.setServing(serving);
      if (!serving) http?.stopKeepAlive();
    },
    async drain(graceMs) {
      await Promise.all([grpc, admin, cluster, http].map((door) => door?.drain(graceMs)));
    },
  };
}

async function openHttp(deps: RouterDeps, started: AsyncDisposableStack, parts: RouterParts, listen: string, options: RouterOptions) {
  const { clock, log, random } = deps;
  const { core, models, cluster, heat, access, keyUses, ledger, prices, files, fineTuning } = parts;
  const { journal, meters } = deps.store;
  const history = keepResidencyHistory({ clock, snapshot: () => cluster.snapshot }, models.stopping);
  const operations = {
    ...{ ...models, access, keyUses, ledger, prices, journal, meters, cluster, heat, history },
    requestsRunning: () => parts.slots.running,
    claimsPending: () => parts.outbox.pending,
    version: options.version ?? "",
  };
  const preparations = new Preparations({ files, bases: models.names.bases, clock, prepareData: deps.prepareData });
  const console = options.consoleDirectory === undefined ? undefined : await readConsole(options.consoleDirectory);
  const remove = (principal: Parameters<typeof removeModel>[1], name: string) => removeModel(models, principal, name);
  return started.use(
    await startHttpServer(
      {
        core,
        files,
        fineTuning,
        preparations,
        operations,
        console,
        view: models.catalog.view,
        clock,
        random,
        log,
        ledger,
        prices,
        removeModel: remove,
      },
      { ...parseAddress(listen), ...(options.publicTls && { tls: options.publicTls }) },
    ),
  );
}
