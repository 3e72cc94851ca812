import { asKeyId, asNodeId, asTenantId, Fault, formatUsd, type NodeView } from "#kernel";
import type { AdminServiceService, UpdateTenantRequest } from "#proto";
import type { Journal, Meters } from "#state";
import { tenantSpending } from "../billing/index.ts";
import {
  type Access,
  changeTenant,
  createProject,
  createTenant,
  issueKey,
  type KeyDeps,
  type KeyUses,
  listProjects,
  resumeTenant,
  revokeKey,
  suspendTenant,
  type TenantChange,
  tenantNamed,
} from "../keys/index.ts";
import { listBases, type ModelDeps } from "../models/index.ts";
import { type ClusterView, drainNode } from "../nodes/index.ts";
import { addPriceList, formatPriceList } from "../prices/index.ts";
import { nodeMessage, planMessage } from "./cluster-messages.ts";
import type { GuardedHandlers } from "./guard.ts";
import { budgetOf, invalid, keyMessage, limitsOf, projectMessage, scopeOf, tenantMessage } from "./tenant-messages.ts";

export interface AdminServiceDeps extends ModelDeps, KeyDeps {
  readonly cluster: ClusterView;
  readonly meters: Meters;
  readonly journal: Journal;
  readonly keyUses: KeyUses;
  readonly access: Access;
  readonly requestsRunning: () => number;
  readonly claimsPending: () => number;
  /** Of the program. */
  readonly version: string;
}

type AdminHandlers = GuardedHandlers<typeof AdminServiceService>;

export function adminHandlers(deps: AdminServiceDeps): AdminHandlers {
  return { ...tenantHandlers(deps), ...keyHandlers(deps), ...priceHandlers(deps), ...clusterHandlers(deps) };
}

function tenantHandlers(
  deps: AdminServiceDeps,
): Pick<
  AdminHandlers,
  "createTenant" | "listTenants" | "getTenant" | "updateTenant" | "suspendTenant" | "resumeTenant" | "createProject" | "listProjects"
> {
  const { catalog, clock } = deps;
  return {
    createTenant: async ({ id }) => ({ tenant: tenantMessage(await createTenant(catalog, clock, id)) }),
    listTenants: async () => ({ tenants: [...catalog.view.all("tenant")].map(tenantMessage) }),
    async getTenant({ id }) {
      const tenant = tenantNamed(catalog.view, id);
      const { requestsRunning, held, spent } = await tenantSpending(deps, tenant);
      return { tenant: tenantMessage(tenant), requestsRunning, heldUsd: formatUsd(held), spentUsd: formatUsd(spent) };
    },
    updateTenant: async (request) => ({ tenant: tenantMessage(await changeTenant(catalog, request.id, changeOf(request))) }),
    suspendTenant: async ({ id }) => ({ tenant: tenantMessage(await suspendTenant(catalog, clock, id)) }),
    resumeTenant: async ({ id }) => ({ tenant: tenantMessage(await resumeTenant(catalog, id)) }),
    createProject: async (request) => ({ project: projectMessage(await createProject(catalog, clock, request)) }),
    listProjects: async ({ tenantId }) => ({ projects: listProjects(catalog.view, tenantId).map(projectMessage) }),
  };
}

function keyHandlers(deps: AdminServiceDeps): Pick<AdminHandlers, "createKey" | "listKeys" | "revokeKey"> {
  const { catalog, clock, keyUses } = deps;
  return {
    async createKey({ tenantId, projectId, scopes, expiresAtMs, name }) {
      const { record, text } = await issueKey(catalog, deps, {
        tenantId: tenantId === "" ? undefined : asTenantId(tenantId),
        projectId,
        scopes: scopes.map(scopeOf),
        expiresAt: expiresAtMs === 0 ? undefined : expiresAtMs,
        name,
      });
      return { key: keyMessage(record, undefined), secret: text };
    },
    async listKeys({ tenantId }) {
      const keys = tenantId === "" ? catalog.view.all("key") : catalog.view.of("key", tenantNamed(catalog.view, tenantId).id);
      return { keys: [...keys].map((key) => keyMessage(key, keyUses.lastAt(key.id))) };
    },
    async revokeKey({ id }) {
      const key = await revokeKey(catalog, clock, asKeyId(id));
      return { key: keyMessage(key, keyUses.lastAt(key.id)) };
    },
  };
}

function priceHandlers(deps: AdminServiceDeps): Pick<AdminHandlers, "addPriceList" | "listPriceLists"> {
  return {
    async addPriceList({ priceList }) {
      if (!priceList) throw invalid("price_list", "price_list is missing");
      return { priceList: priceListMessage(await addPriceList(deps, priceList)) };
    },
    async listPriceLists() {
      const lists = [...deps.catalog.view.all("price")].sort((one, other) => one.version - other.version);
      return { priceLists: lists.map(priceListMessage) };
    },
  };
}

function clusterHandlers(deps: AdminServiceDeps): Pick<AdminHandlers, "getCluster" | "drainNode" | "undrainNode"> {
  const { catalog, cluster, clock } = deps;
  return {
    getCluster: async () => ({
      snapshotVersion: cluster.snapshot.version,
      snapshotAgeMs: Math.round(cluster.ageMs() ?? 0),
      nodes: [...cluster.snapshot.nodes.values()].map((node) =>
        nodeMessage(catalog.view, node, clock.monotonic(), cluster.snapshot.plan?.handovers.get(node.id)),
      ),
      ...planMessage(cluster.snapshot.plan),
      requestsRunning: deps.requestsRunning(),
      claimsPending: deps.claimsPending(),
      bases: [...listBases(deps)],
      version: deps.version,
    }),
    async drainNode({ nodeId }, { signal }) {
      await drainNode(deps, nodeNamed(cluster, nodeId), signal);
      return {};
    },
    async undrainNode({ nodeId }, { signal }) {
      await deps.dispatcher.clientOf(nodeNamed(cluster, nodeId)).resume(signal);
      return {};
    },
  };
}

function nodeNamed(cluster: ClusterView, nodeId: string): NodeView {
  const node = cluster.snapshot.nodes.get(asNodeId(nodeId));
  if (!node) throw new Fault("resource_unknown", `the node ${nodeId} is not in the cluster`, { detail: { resource: nodeId } });
  return node;
}

function priceListMessage(record: Parameters<typeof formatPriceList>[0]) {
  const { defaultPrices, bases, ...list } = formatPriceList(record);
  return { ...list, defaultPrices, bases: { ...bases } };
}

function changeOf(request: UpdateTenantRequest): TenantChange {
  const { limits, budget, removeBudget, pricePlan } = request;
  if (budget && removeBudget) throw invalid("remove_budget", "remove_budget and budget contradict each other");
  return {
    ...(limits && { limits: limitsOf(limits) }),
    ...(budget && { budget: budgetOf(budget) }),
    ...(removeBudget && { budget: "none" as const }),
    ...(pricePlan !== "" && { pricePlan }),
  };
}
