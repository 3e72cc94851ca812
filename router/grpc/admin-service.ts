import { asKeyId, asNodeId, asTenantId, type Clock, Fault, type Millis, type NodeView } from "#kernel";
import {
  type AdminServiceService,
  baseLoadToMessage,
  type ClusterNode,
  type Key,
  nodeStateToMessage,
  residencyToMessage,
  Scope,
  type Tenant,
} from "#proto";
import { type Catalog, deltaName, type KeyRecord, type TenantRecord } from "../catalog/index.ts";
import type { KeyScope } from "../contract.ts";
import { createTenant, issueKey, type KeyDeps, revokeKey } from "../keys/index.ts";
import { listBases, type ModelDeps } from "../models/index.ts";
import type { ClusterView } from "../nodes/index.ts";
import type { GuardedHandlers } from "./guard.ts";

export interface AdminServiceDeps extends ModelDeps, KeyDeps {
  readonly clock: Clock;
  readonly cluster: ClusterView;
  readonly requestsRunning: () => number;
  readonly claimsPending: () => number;
  /** Of the program. */
  readonly version: string;
}

const SCOPES: Readonly<Record<KeyScope, Scope>> = { infer: Scope.SCOPE_INFER, train: Scope.SCOPE_TRAIN, admin: Scope.SCOPE_ADMIN };

export function adminHandlers(deps: AdminServiceDeps): GuardedHandlers<typeof AdminServiceService> {
  const { catalog, cluster, clock } = deps;
  return {
    createTenant: async ({ id }) => ({ tenant: tenantMessage(await createTenant(catalog, clock, id)) }),
    listTenants: async () => ({ tenants: [...catalog.view.all("tenant")].map(tenantMessage) }),

    async createKey({ tenantId, scopes, expiresAtMs }) {
      const { record, text } = await issueKey(catalog, deps, {
        tenantId: tenantId === "" ? undefined : asTenantId(tenantId),
        scopes: scopes.map(scopeOf),
        expiresAt: expiresAtMs === 0 ? undefined : expiresAtMs,
      });
      return { key: keyMessage(record), secret: text };
    },
    async listKeys({ tenantId }) {
      const keys = tenantId === "" ? catalog.view.all("key") : catalog.view.of("key", asTenantId(tenantId));
      return { keys: [...keys].map(keyMessage) };
    },
    revokeKey: async ({ id }) => ({ key: keyMessage(await revokeKey(catalog, clock, asKeyId(id))) }),

    getCluster: async () => ({
      snapshotVersion: cluster.snapshot.version,
      snapshotAgeMs: Math.round(cluster.ageMs() ?? 0),
      nodes: [...cluster.snapshot.nodes.values()].map((node) => nodeMessage(catalog, node, clock.monotonic())),
      requestsRunning: deps.requestsRunning(),
      claimsPending: deps.claimsPending(),
      bases: [...listBases(deps)],
      version: deps.version,
    }),
    async drainNode({ nodeId }, { signal }) {
      const node = cluster.snapshot.nodes.get(asNodeId(nodeId));
      if (!node) throw new Fault("resource_unknown", `the node ${nodeId} is not in the cluster`, { detail: { resource: nodeId } });
      await deps.dispatcher.clientOf(node).drain(signal);
      return {};
    },
  };
}

function tenantMessage(tenant: TenantRecord): Tenant {
  return { id: tenant.id, createdAtMs: tenant.createdAt };
}

function keyMessage(key: KeyRecord): Key {
  return {
    id: key.id,
    tenantId: key.tenantId ?? "",
    scopes: key.scopes.map((scope) => SCOPES[scope]),
    createdAtMs: key.createdAt,
    expiresAtMs: key.expiresAt ?? 0,
    revoked: key.revokedAt !== undefined,
  };
}

function scopeOf(message: Scope, index: number): KeyScope {
  const scope = (Object.keys(SCOPES) as KeyScope[]).find((name) => SCOPES[name] === message);
  if (!scope) throw new Fault("parameter_invalid", `scopes[${index}] is no scope`, { detail: { field: `scopes[${index}]` } });
  return scope;
}

function nodeMessage(catalog: Catalog, node: NodeView, now: Millis): ClusterNode {
  const deltaNames: Record<string, string> = {};
  for (const digest of node.deltas.keys()) {
    const delta = catalog.view.get("delta", digest);
    if (delta) deltaNames[digest] = deltaName(delta);
  }
  const view = {
    id: node.id,
    address: node.address,
    state: nodeStateToMessage(node.state),
    epoch: node.epoch,
    bases: [...node.bases].map(([digest, load]) => baseLoadToMessage(digest, load)),
    full: true,
    deltas: [...node.deltas].map(([digest, residency]) => residencyToMessage(digest, residency)),
    removedDigests: [],
  };
  return { view, deltaNames, reportAgeMs: Math.max(0, Math.round(now - node.reportedAt)) };
}
