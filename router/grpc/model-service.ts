import { asBaseDigest, asDeltaDigest, asTenantId, DIGEST_PATTERN, Fault } from "#kernel";
import type { ModelServiceService } from "#proto";
import type { InferenceCore } from "../contract.ts";
import {
  addBase,
  getDelta,
  listAliases,
  listBases,
  listDeltas,
  type ModelDeps,
  type Publishing,
  pinDelta,
  pushDelta,
  removeAlias,
  removeBase,
  removeDelta,
  rollBackAlias,
  setAlias,
} from "../models/index.ts";
import type { GuardedHandlers } from "./guard.ts";
import { aliasMessage, baseMessage, deltaMessage, pieceMessage } from "./model-messages.ts";

export interface ModelServiceDeps extends ModelDeps {
  readonly core: InferenceCore;
}

export function modelHandlers(deps: ModelServiceDeps): GuardedHandlers<typeof ModelServiceService> {
  const { core, catalog } = deps;
  const publishing: Publishing = new Set();
  return {
    listModels: async (_, { principal }) => ({ models: [...(await core.listModels(principal))] }),
    getModel: async ({ name }, { principal }) => ({ model: await core.getModel(principal, name) }),

    addBase: async (request, { signal }) => ({ base: baseMessage(await addBase(deps, request, deps.snapshot(), signal)) }),
    // Where the files lie on the nodes is the operator's business.
    async listBases(_, { principal }) {
      const bases = listBases(deps);
      return { bases: principal.tenantId === undefined ? [...bases] : bases.map((base) => ({ ...base, directory: "" })) };
    },
    async removeBase({ name }) {
      await removeBase(deps, name);
      return {};
    },

    async pushDelta(requests, { principal, signal }) {
      const { delta, alias } = await pushDelta(deps, publishing, principal, requests, signal);
      return { delta: deltaMessage(delta), alias };
    },
    async listDeltas({ tenantId }, { principal }) {
      return { deltas: listDeltas(catalog, principal, tenantId === "" ? undefined : asTenantId(tenantId)).map(deltaMessage) };
    },
    getDelta: async ({ name }, { principal }) => ({ delta: deltaMessage(getDelta(catalog, principal, name)) }),
    pinDelta: async (request, { principal, signal }) => ({
      delta: deltaMessage(await pinDelta(deps, principal, request, deps.snapshot(), signal)),
    }),
    async removeDelta({ name }, { principal }) {
      await removeDelta(deps, principal, name, deps.snapshot());
      return {};
    },
    async *downloadDelta({ delta }, { signal }) {
      const { digest = "", tenantId = "", baseDigest = "" } = delta ?? {};
      if (!DIGEST_PATTERN.test(digest)) {
        throw new Fault("parameter_invalid", "delta.digest must be 64 hexadecimal digits", { detail: { field: "delta.digest" } });
      }
      const stored = { digest: asDeltaDigest(digest), tenantId: asTenantId(tenantId), baseDigest: asBaseDigest(baseDigest) };
      for await (const piece of deps.files.read(stored, signal)) yield pieceMessage(piece);
    },

    async *pullDelta({ name }, { principal, signal }) {
      for await (const piece of deps.files.read(getDelta(catalog, principal, name), signal)) yield pieceMessage(piece);
    },

    async setAlias({ alias }, { principal, signal }) {
      if (!alias) throw new Fault("parameter_invalid", "alias is missing", { detail: { field: "alias" } });
      return { alias: aliasMessage(catalog.view, await setAlias(deps, principal, alias, signal)) };
    },
    async rollBackAlias({ name }, { principal, signal }) {
      return { alias: aliasMessage(catalog.view, await rollBackAlias(deps, principal, name, signal)) };
    },
    async listAliases(_, { principal }) {
      return { aliases: listAliases(catalog, principal).map((alias) => aliasMessage(catalog.view, alias)) };
    },
    async removeAlias({ name }, { principal }) {
      await removeAlias(catalog, principal, name);
      return {};
    },
  };
}
