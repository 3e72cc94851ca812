import type { FastifyInstance } from "fastify";
import { z } from "zod";
import { asBaseDigest, asNodeId, Fault, type NodeView } from "#kernel";
import { evictDelta, getDelta, listBases } from "../../models/index.ts";
import { heldShape, nodeShape, shownPerTier } from "./cluster-shape.ts";
import { beginDrain } from "./drain-begun.ts";
import { sendFresh } from "./etag.ts";
import type { OperationDeps } from "./operation-deps.ts";
import { page, pageOf, parsed } from "./query.ts";

/** On one page; a cluster of more is looked at in pieces. */
const NODES_MAX = 500;
const DELTAS_MAX = 1_000;

const NodePage = z.object(page(NODES_MAX, 100));
const HeldPage = z.object({ ...page(DELTAS_MAX, 100), tier: z.enum(["slot", "ram", "disk"]).optional() });
const Eviction = z.object({ delta: z.string().min(1).max(512) });

interface Named {
  Params: { readonly id: string };
}

/** `/v1/admin/cluster` and `/v1/admin/nodes`: nodes, what they hold, and what an operator does to them. */
export function addClusterRoutes(server: FastifyInstance, deps: OperationDeps): void {
  const { catalog, cluster, clock, heat } = deps;
  const shape = { view: catalog.view, heat };

  server.get("/v1/admin/cluster", async (request, reply) => {
    const { snapshot } = cluster;
    const all = [...snapshot.nodes.values()].sort((one, other) => one.id.localeCompare(other.id, "en", { numeric: true }));
    const { data, has_more } = pageOf(all, parsed(NodePage, request.query), ({ id }) => id);
    const [now, shown] = [clock.monotonic(), shownPerTier(data.length)];
    const ageMs = cluster.ageMs();
    return sendFresh(request, reply, {
      ...{ object: "cluster", version: deps.version, requests_running: deps.requestsRunning(), claims_pending: deps.claimsPending() },
      // As of nodes: no news while it is heard of in time.
      scheduler_silent_s: ageMs === undefined ? null : ageMs < 3_000 ? 0 : Math.floor(ageMs / 1000),
      leader: snapshot.plan?.leader ?? null,
      bases: listBases(deps).map(({ name, digest, architecture, parameterCount }) => ({
        ...{ name, digest, architecture, parameter_count: parameterCount },
        nodes_wanted: snapshot.plan?.bases.get(asBaseDigest(digest))?.nodesWanted ?? null,
      })),
      ...{
        nodes_total: all.length,
        nodes: data.map((node) => nodeShape(shape, node, snapshot.plan?.handovers.get(node.id), now, shown)),
        has_more,
      },
    });
  });

  server.get<Named>("/v1/admin/nodes/:id/deltas", async ({ params, query }) => {
    const { tier, ...wish } = parsed(HeldPage, query);
    const held = [...nodeNamed(deps, params.id).deltas].filter(([, residency]) => tier === undefined || residency.tier === tier);
    held.sort(([one], [other]) => (one < other ? -1 : 1));
    const { data, has_more } = pageOf(held, wish, ([digest]) => digest);
    return { object: "list", total: held.length, data: data.map(([digest, residency]) => heldShape(shape, digest, residency)), has_more };
  });

  server.post<Named>("/v1/admin/nodes/:id/drain", async ({ params }, reply) => {
    const node = nodeNamed(deps, params.id);
    const done = await beginDrain(deps, node);
    return reply.status(done ? 200 : 202).send({ object: "node", id: node.id, state: "draining", drained: done });
  });

  server.post<Named>("/v1/admin/nodes/:id/undrain", async ({ params }) => {
    const node = nodeNamed(deps, params.id);
    await deps.dispatcher.clientOf(node).resume(deps.stopping);
    return { object: "node", id: node.id, state: "ready" };
  });

  server.post<Named>("/v1/admin/nodes/:id/evict", async ({ principal, params, body }) => {
    const delta = getDelta(catalog, principal, parsed(Eviction, body).delta);
    await evictDelta(deps, delta, params.id, deps.stopping);
    return { object: "eviction", node_id: params.id, digest: delta.digest };
  });
}

/** @throws Fault resource_unknown */
function nodeNamed({ cluster }: OperationDeps, id: string): NodeView {
  const node = cluster.snapshot.nodes.get(asNodeId(id));
  if (!node) throw new Fault("resource_unknown", `the node ${id} is not in the cluster`, { detail: { resource: id } });
  return node;
}
