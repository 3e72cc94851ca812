import * as z from "zod";
import { checkShape, decodeJsonObject, fileFault, isJsonObject, type JsonObject, type JsonValue } from "../files/index.ts";

export const CONFIG_FILE = "adapter_config.json";

/** The tables of the engine are laid out for no more, and PEFT's own files rarely pass 256. */
export const RANK_MAX = 512;

/** A list that spells out every linear of a deep base has about a thousand entries. */
const NAMES_MAX = 16_384;
const rank = z.int().min(1).max(RANK_MAX);
/** Common values are 1 to 4 times the rank; the bound keeps alpha/r far from overflow. */
const alpha = z.number().positive().max(65_536);
const moduleName = z.string().min(1).max(1024);
const moduleNames = z.union([moduleName.max(2048), z.array(moduleName).max(NAMES_MAX)]);
const layers = z.union([z.int().min(0), z.array(z.int().min(0)).max(NAMES_MAX)]).nullish();

/** A pattern and its value, in the order of the file: the first that matches counts. */
function patterns<T extends z.ZodType>(value: T) {
  return z.record(moduleName.max(2048), value).nullish();
}

const Fields = z.object({
  r: rank.default(8),
  lora_alpha: alpha.default(8),
  use_rslora: z.boolean().default(false),
  target_modules: moduleNames.nullish(),
  exclude_modules: moduleNames.nullish(),
  layers_to_transform: layers,
  layers_pattern: z.union([moduleName, z.array(moduleName).max(64)]).nullish(),
  rank_pattern: patterns(rank),
  alpha_pattern: patterns(alpha),
});

/** The part of adapter_config.json that decides what a delta computes. */
export type PeftConfig = z.infer<typeof Fields>;

/** Settings that change what is computed in a way that we do not, with the name they are known by. Off is null, false or empty. */
const VARIANTS: Readonly<Record<string, string>> = {
  use_dora: "DoRA",
  lora_bias: "a bias in lora_B",
  modules_to_save: "fully trained modules",
  layer_replication: "replicated layers",
  target_parameters: "deltas on parameters",
  trainable_token_indices: "trained tokens",
  use_qalora: "QALoRA",
  use_bdlora: "BD-LoRA",
  arrow_config: "Arrow routing",
  kasa_config: "KaSA",
  velora_config: "VeLoRA",
  monteclora_config: "MonteCLoRA",
  alora_invocation_tokens: "activated LoRA",
  megatron_config: "Megatron layers",
};

/** Settings that only matter to training, or that say where a file came from. */
const IGNORED = new Set([
  "peft_type",
  "auto_mapping",
  "base_model_name_or_path",
  "corda_config",
  "ensure_weight_tying",
  "eva_config",
  "fan_in_fan_out",
  "inference_mode",
  "lora_dropout",
  "lora_ga_config",
  "loftq_config",
  "megatron_core",
  "peft_version",
  "qalora_group_size",
  "revision",
  "runtime_config",
  "task_type",
]);

/** Initialisations that leave the base as it is. The others (pissa, olora, corda, loftq, lora_ga) subtract from its weights, and so would have to be applied to it. */
const INITIALISATIONS: readonly (JsonValue | undefined)[] = [undefined, null, true, false, "gaussian", "eva", "orthogonal", "mica"];

/**
 * Checks adapter_config.json. Faults: model_unsupported names what we do not compute, also a setting that we have never
 * heard of; file_malformed names the field.
 */
export function parsePeftConfig(content: Uint8Array): PeftConfig {
  const json = decodeJsonObject(content, CONFIG_FILE);
  const kind = json["peft_type"];
  if (kind !== "LORA") throw unsupported("peft_type", `${describe(kind)} is not supported; LORA is`);
  for (const [field, value] of Object.entries(json)) refuseVariant(field, value);
  const { init_lora_weights: initialisation } = json;
  if (!INITIALISATIONS.includes(initialisation)) {
    throw unsupported("init_lora_weights", `${describe(initialisation)} changes the base; convert the delta when saving it`);
  }
  return checkShape(Fields, json, CONFIG_FILE);
}

function refuseVariant(field: string, value: JsonValue): void {
  if (field === "bias") {
    if (value !== "none") throw unsupported(field, `trained biases (${describe(value)}) are not supported`);
    return;
  }
  if (field === "init_lora_weights" || IGNORED.has(field) || field in Fields.shape || isOff(value)) return;
  const variant = Object.hasOwn(VARIANTS, field)
    ? `${VARIANTS[field]} is not supported`
    : `unknown setting ${describe(value)}, perhaps of a variant`;
  throw unsupported(field.slice(0, 100), variant);
}

function isOff(value: JsonValue): boolean {
  if (Array.isArray(value)) return value.length === 0;
  if (isJsonObject(value)) return Object.keys(value satisfies JsonObject).length === 0;
  return value === null || value === false || value === "";
}

function describe(value: JsonValue | undefined): string {
  return JSON.stringify(value)?.slice(0, 100) ?? "nothing";
}

function unsupported(field: string, why: string) {
  return fileFault("model_unsupported", CONFIG_FILE, `${field}: ${why}`, { field });
}
