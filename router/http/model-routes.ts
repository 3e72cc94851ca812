import type { FastifyInstance, FastifyRequest } from "fastify";
import type { Model } from "#proto";
import type { InferenceCore, Principal } from "../contract.ts";

export interface ModelRouteDeps {
  readonly core: InferenceCore;
  /** Removes a delta or an alias of the caller's tenant. @throws Fault model_unknown, scope_missing for a base, resource_in_use */
  readonly removeModel: (principal: Principal, name: string) => Promise<void>;
}

/** `/v1/models`, with vLLM's `root` and `parent` for deltas. */
export function addModelRoutes(server: FastifyInstance, { core, removeModel }: ModelRouteDeps): void {
  server.get("/v1/models", async ({ principal }) => ({ object: "list", data: (await core.listModels(principal)).map(shape) }));

  server.get("/v1/models/*", async (request) => shape(await core.getModel(request.principal, nameIn(request))));

  server.delete("/v1/models/*", async (request) => {
    const name = nameIn(request);
    await removeModel(request.principal, name);
    return { id: name, object: "model", deleted: true };
  });
}

function nameIn(request: FastifyRequest): string {
  return (request.params as { "*": string })["*"];
}

function shape(model: Model) {
  return {
    id: model.name,
    object: "model",
    created: Math.floor(model.createdAtMs / 1000),
    owned_by: model.owner,
    root: model.root || model.name,
    parent: model.name === model.base ? null : model.base,
  };
}
