import type { LinearSite } from "../base.ts";
import { fileFault } from "../files/index.ts";
import { type FloatType, isFloatType, type StoredTensor, shortName } from "../safetensors/index.ts";
import type { Target } from "./targets.ts";

export const WEIGHTS_FILE = "adapter_model.safetensors";

/** A stored tensor of a type that we compute with. */
export type DeltaTensor = StoredTensor & { readonly type: FloatType };

/** One linear's change as it lies in the file: `a` is [rank, in], `b` is [out, rank]. */
export interface TensorPair {
  readonly target: Target;
  readonly a: DeltaTensor;
  readonly b: DeltaTensor;
}

const KEY = /^base_model\.model\.(.{1,1000})\.lora_([AB])\.weight$/;

/** What else PEFT writes into the file, by a part of the name. */
const VARIANT_PARTS: readonly (readonly [part: string, variant: string])[] = [
  ["lora_magnitude_vector", "DoRA"],
  ["lora_embedding_", "a delta on embeddings"],
  [".embed_tokens.", "a delta on embeddings"],
  [".wte.", "a delta on embeddings"],
  [".wpe.", "a delta on embeddings"],
  [".lm_head.", "a delta on the output layer"],
  ["modules_to_save", "a fully trained module"],
  ["lora_B.bias", "a bias in lora_B"],
  ["trainable_tokens", "trained tokens"],
  ["lora_diag", "KaSA"],
];

/**
 * Pairs the tensors of a delta with the linears that its configuration means: every tensor is used, every targeted
 * linear has both of its tensors, every shape fits. Faults: model_unsupported names a variant, delta_base_mismatch a
 * tensor for another base or of a wrong shape, file_malformed one that is missing or not announced.
 */
export function pairTensors(
  tensors: ReadonlyMap<string, StoredTensor>,
  targets: readonly Target[],
  linears: readonly LinearSite[],
): TensorPair[] {
  const isTarget = new Set(targets.map(({ linear }) => linear.module));
  const isLinear = new Set(linears.map(({ module }) => module));
  for (const name of tensors.keys()) checkName(name, isTarget, isLinear);
  if (targets.length === 0) throw fileFault("delta_base_mismatch", "adapter_config.json", "target_modules: the base has none of them");
  return targets.map((target) => {
    const { module, inputSize, outputSize } = target.linear;
    const prefix = `base_model.model.${module}.lora_`;
    const a = pairTensor(tensors, `${prefix}A.weight`, [target.rank, inputSize]);
    const b = pairTensor(tensors, `${prefix}B.weight`, [outputSize, target.rank]);
    return { target, a, b };
  });
}

function checkName(name: string, isTarget: ReadonlySet<string>, isLinear: ReadonlySet<string>): void {
  const variant = VARIANT_PARTS.find(([part]) => name.includes(part));
  if (variant) throw tensorFault("model_unsupported", name, `${variant[1]} is not supported`);
  const module = KEY.exec(name)?.[1];
  if (module === undefined) throw tensorFault("file_malformed", name, "is not a name that PEFT gives to lora_A or lora_B");
  if (!isLinear.has(module)) throw tensorFault("delta_base_mismatch", name, "the base has no such linear layer");
  if (!isTarget.has(module)) throw tensorFault("file_malformed", name, "adapter_config.json does not target this layer");
}

function pairTensor(tensors: ReadonlyMap<string, StoredTensor>, name: string, shape: readonly [number, number]): DeltaTensor {
  const tensor = tensors.get(name);
  if (!tensor) throw tensorFault("file_malformed", name, "is missing, although adapter_config.json targets its layer");
  const { type } = tensor;
  if (!isFloatType(type)) throw tensorFault("model_unsupported", name, `type ${type} is not supported`);
  if (tensor.shape.join() !== shape.join()) {
    throw tensorFault("delta_base_mismatch", name, `has the shape [${tensor.shape}]; by base and configuration it is [${shape}]`);
  }
  return { ...tensor, type };
}

export function tensorFault(reason: "model_unsupported" | "file_malformed" | "delta_base_mismatch", name: string, why: string) {
  return fileFault(reason, WEIGHTS_FILE, `tensor ${shortName(name)}: ${why}`, { field: shortName(name) });
}
