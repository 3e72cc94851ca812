import type { FastifyInstance } from "fastify";
import { z } from "zod";
import { aliasName, type DeltaRecord, deltaName } from "../../catalog/index.ts";
import { getDelta, listAliases, pinDelta } from "../../models/index.ts";
import { copiesShape } from "./cluster-shape.ts";
import type { OperationDeps } from "./operation-deps.ts";
import { page, pageOf, parsed, tenantId } from "./query.ts";

const DELTAS_MAX = 200;

const Search = z.object({ ...page(DELTAS_MAX, 50), search: z.string().max(256).default(""), tenant_id: tenantId });

interface Named {
  Params: { readonly id: string };
}

/** `/v1/admin/deltas`, where they are and have been; and pins, which are their tenants' to set too. */
export function addDeltaRoutes(server: FastifyInstance, deps: OperationDeps): void {
  const { catalog, cluster, heat, history } = deps;
  const shape = { view: catalog.view, heat };

  server.get("/v1/admin/deltas", async ({ query }) => {
    const { search, tenant_id, ...wish } = parsed(Search, query);
    const words = search.toLowerCase();
    const found = [...catalog.view.all("delta")]
      .filter((delta) => (tenant_id === "" || delta.tenantId === tenant_id) && (words === "" || matches(delta, words)))
      .sort((one, other) => other.createdAt - one.createdAt || (one.digest < other.digest ? -1 : 1));
    const { data, has_more } = pageOf(found, wish, ({ digest }) => digest);
    return { object: "list", total: found.length, data: data.map(deltaShape), has_more };
  });

  server.get<Named>("/v1/admin/deltas/:id", async ({ principal, params }) => {
    const delta = getDelta(catalog, principal, params.id);
    return {
      ...deltaShape(delta),
      heat: Math.round(heat.perSecond(delta.digest) * 10) / 10,
      aliases: listAliases(catalog, { ...principal, tenantId: delta.tenantId }).flatMap((alias) => {
        const target = alias.targets.find(({ delta: digest }) => digest === delta.digest);
        const left = alias.previous.find(({ targets }) => targets.some(({ delta: digest }) => digest === delta.digest));
        if (!target && !left) return [];
        return [{ name: aliasName(alias), weight: target?.weight ?? 0, until_ms: target ? null : left!.until }];
      }),
      // Beyond its home, as the leading scheduler says.
      wanted_on: cluster.snapshot.plan?.copies.get(delta.digest) ?? [],
      copies: copiesShape(shape, cluster.snapshot, delta.digest),
      history: history
        .of(delta.digest)
        .map(({ at, nodeId, from, to }) => ({ at_ms: at, node_id: nodeId, from: from ?? null, to: to ?? null })),
    };
  });

  for (const [verb, pinned] of [
    ["pin", true],
    ["unpin", false],
  ] as const)
    server.post<Named>(`/v1/deltas/:id/${verb}`, async ({ principal, params }) =>
      deltaShape(await pinDelta(deps, principal, { name: params.id, pinned }, cluster.snapshot, deps.stopping)),
    );
}

function matches(delta: DeltaRecord, words: string): boolean {
  return deltaName(delta).toLowerCase().includes(words) || delta.digest.startsWith(words);
}

function deltaShape(delta: DeltaRecord) {
  const { digest, tenantId: owner, baseName, suffix, rank, sizeBytes, targets, createdAt, pinned } = delta;
  return {
    ...{ object: "delta", name: deltaName(delta), digest, tenant_id: owner, base: baseName, suffix, rank, size_bytes: sizeBytes },
    ...{ targets, created_at_ms: createdAt, pinned },
  };
}
