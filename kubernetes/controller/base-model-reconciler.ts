import { isFault, MINUTE, type Millis, SECOND } from "#kernel";
import { ModelServiceService } from "#proto";
import { BASE_MODELS, BaseModelSpec, BaseModelStatus } from "../custom-resources/base-model.ts";
import type { Doors, Reconciler } from "./contract.ts";

/** Every node reads gigabytes from its disk. */
const LOAD_MS_MAX: Millis = 10 * MINUTE;
const CALL_MS_MAX: Millis = 10 * SECOND;

/** A BaseModel is a base of the catalogue. It goes when no delta refers to it any more. */
export function createBaseModelReconciler({ router }: Doors): Reconciler<BaseModelSpec, BaseModelStatus> {
  return {
    resource: BASE_MODELS,
    readSpec: (spec) => BaseModelSpec.parse(spec),
    readStatus: (status) => BaseModelStatus.safeParse(status ?? {}).data ?? {},

    async apply({ name, spec, status }, signal) {
      const { bases } = await router.unary(ModelServiceService.listBases, {}, { signal, timeoutMs: CALL_MS_MAX });
      const listed = bases.find((base) => base.name === name);
      const known = listed && listed.digest === status.digest ? listed : undefined;
      const base = known ?? (await addBase(name, spec.directory, signal));
      const described = { digest: base.digest, architecture: base.architecture, contextTokensMax: base.contextTokensMax };
      return { kind: "ready", status: { ...status, ...described }, message: `loaded from ${spec.directory}` };
    },

    async drain({ name }, signal) {
      try {
        await router.unary(ModelServiceService.removeBase, { name }, { signal, timeoutMs: CALL_MS_MAX });
      } catch (error) {
        if (isFault(error, "resource_in_use")) return { kind: "waiting", reason: "ResourceInUse", message: error.message };
        if (!isFault(error, "model_unknown")) throw error;
      }
      return { kind: "drained" };
    },
  };

  async function addBase(name: string, directory: string, signal: AbortSignal) {
    const { base } = await router.unary(ModelServiceService.addBase, { name, directory }, { signal, timeoutMs: LOAD_MS_MAX });
    return base!;
  }
}
