import { type Millis, parseAddress } from "#kernel";
import { startAdminDoor, startGrpcDoor } from "./grpc/index.ts";
import { startHttpServer } from "./http/index.ts";
import { removeModel } from "./models/index.ts";
import type { RouterDeps, RouterOptions } from "./router.ts";
import type { RouterParts } from "./router-parts.ts";

export interface RouterDoors {
  readonly grpcPort: number;
  readonly adminPort: number | undefined;
  readonly httpPort: number | undefined;
  /** From now on they say that they serve. */
  setServing(): void;
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
  const { core, models, access, ledger, prices, keyUses, cluster } = parts;
  const { journal, meters } = deps.store;
  const guard = { authenticate: core.authenticate, access, clusterKey: options.clusterKey };
  const { files: tenantFiles, fineTuning } = parts;
  const grpc = started.use(
    await startGrpcDoor({ ...models, ...guard, core, ledger, prices, journal, tenantFiles, fineTuning }, { listen: options.grpcListen }),
  );
  const adminDeps = {
    ...{ ...models, ...guard, cluster, keyUses, meters, journal, randomSecret: deps.randomSecret },
    requestsRunning: () => parts.slots.running,
    claimsPending: () => parts.outbox.pending,
    version: options.version ?? "",
  };
  const { adminListen, httpListen } = options;
  const admin = adminListen === undefined ? undefined : started.use(await startAdminDoor(adminDeps, { listen: adminListen }));
  const http = httpListen === undefined ? undefined : await openHttp(deps, started, parts, httpListen);
  return {
    ...{ grpcPort: grpc.port, adminPort: admin?.port, httpPort: http?.port },
    setServing() {
      grpc.setServing(true);
      admin?.setServing(true);
    },
    async drain(graceMs) {
      await Promise.all([grpc.drain(graceMs), admin?.drain(graceMs), http?.drain(graceMs)]);
    },
  };
}

async function openHttp(deps: RouterDeps, started: AsyncDisposableStack, parts: RouterParts, listen: string) {
  const { clock, log, random } = deps;
  const { core, models, ledger, prices, files, fineTuning } = parts;
  const remove = (principal: Parameters<typeof removeModel>[1], name: string) => removeModel(models, principal, name);
  return started.use(
    await startHttpServer(
      { core, files, fineTuning, view: models.catalog.view, clock, random, log, ledger, prices, removeModel: remove },
      parseAddress(listen),
    ),
  );
}
