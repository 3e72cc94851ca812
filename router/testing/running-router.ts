import { randomBytes } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pino } from "pino";
import { Registry } from "prom-client";
import { asNodeId, seededRandom, systemClock } from "#kernel";
import { AdminServiceService, type GrpcChannel, openChannel, Scope } from "#proto";
import { openEmbeddedStore, type StateStore } from "#state";
import { createAdminKey } from "../keys/index.ts";
import { memoryTransport, type NodeClient } from "../nodes/index.ts";
import { type RouterOptions, type RunningRouter, startRouter } from "../router.ts";
import { settableCluster, snapshotOf, viewsOf } from "./cluster-of.ts";

export const CLUSTER_KEY = "cluster-secret";

/** A router over gRPC on a free port, with a store in memory and nodes in this process. */
export interface RouterUnderTest extends AsyncDisposable {
  readonly router: RunningRouter;
  readonly store: StateStore;
  readonly registry: Registry;
  readonly cluster: ReturnType<typeof settableCluster>;
  readonly dataDirectory: string;
  readonly adminKey: string;
  /** The operator at the administration's door. */
  readonly admin: GrpcChannel;
  /** The operator at the customers' door. */
  readonly operator: GrpcChannel;
  /** A channel with this credential, to the customers' door; closed with the rest. */
  channel(credential?: string): GrpcChannel;
  /** Likewise, to the administration's door. */
  adminChannel(credential?: string): GrpcChannel;
  /** Makes the tenant when there is none, and a key for it. */
  tenantKey(tenantId: string, scopes?: readonly Scope[]): Promise<{ readonly id: string; readonly text: string }>;
}

export async function runRouter(
  nodes: Readonly<Record<string, NodeClient>>,
  options: Partial<RouterOptions> = {},
): Promise<RouterUnderTest> {
  await using stack = new AsyncDisposableStack();
  const dataDirectory = await mkdtemp(join(tmpdir(), "deltaplane-router-"));
  stack.defer(() => rm(dataDirectory, { recursive: true, force: true }));
  const store = stack.use(await openEmbeddedStore(":memory:", { clock: systemClock }));
  const byId = new Map(Object.entries(nodes).map(([id, node]) => [asNodeId(id), node]));
  const cluster = settableCluster(snapshotOf(viewsOf(byId)));
  const shell = { clock: systemClock, randomSecret: (sizeBytes: number) => randomBytes(sizeBytes) };
  const { text: adminKey } = await createAdminKey(store.records, shell);
  const registry = new Registry();
  const router = stack.use(
    await startRouter(
      {
        ...{ ...shell, store, registry, cluster, transport: memoryTransport(byId) },
        random: seededRandom(1),
        log: pino({ level: "silent" }),
      },
      { grpcListen: "127.0.0.1:0", adminListen: "127.0.0.1:0", schedulers: [], clusterKey: CLUSTER_KEY, dataDirectory, ...options },
    ),
  );
  const parts = stack.move();
  const channelTo = (port: number, credential?: string) => {
    const address = `127.0.0.1:${port}`;
    return parts.use(openChannel({ address, clock: systemClock, ...(credential !== undefined && { credential }) }));
  };
  const channel = (credential?: string) => channelTo(router.grpcPort, credential);
  const adminChannel = (credential?: string) => channelTo(router.adminPort!, credential);
  const admin = adminChannel(adminKey);
  const operator = channel(adminKey);
  const tenants = new Set<string>();
  return {
    ...{ router, store, registry, cluster, dataDirectory, adminKey, admin, operator },
    channel,
    adminChannel,
    async tenantKey(tenantId, scopes = [Scope.SCOPE_INFER, Scope.SCOPE_TRAIN]) {
      if (!tenants.has(tenantId)) await admin.unary(AdminServiceService.createTenant, { id: tenantId });
      tenants.add(tenantId);
      const { key, secret } = await admin.unary(AdminServiceService.createKey, {
        ...{ tenantId, projectId: "", name: "", expiresAtMs: 0 },
        scopes: [...scopes],
      });
      return { id: key!.id, text: secret };
    },
    [Symbol.asyncDispose]: () => parts.disposeAsync(),
  };
}
