import type { FastifyInstance } from "fastify";
import { bearerToken, type Model } from "#proto";
import type { InferenceCore } from "../contract.ts";

/** `GET /v1/models` and `GET /v1/models/{id}`, with vLLM's `root` and `parent` for deltas. */
export function addModelRoutes(server: FastifyInstance, core: InferenceCore): void {
  server.get("/v1/models", async (request) => {
    const principal = await core.authenticate(bearerToken(request.headers.authorization));
    const models = await core.listModels(principal);
    return { object: "list", data: models.map(shape) };
  });

  // A wildcard, because names hold slashes and colons, raw or percent-encoded.
  server.get("/v1/models/*", async (request) => {
    const principal = await core.authenticate(bearerToken(request.headers.authorization));
    return shape(await core.getModel(principal, (request.params as { "*": string })["*"]));
  });
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
