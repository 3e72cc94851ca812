import type { Architecture } from "../base.ts";
import type { JsonObject, JsonValue } from "../files/index.ts";
import { unsupported } from "./config-fault.ts";
import type { ModelConfig } from "./contract.ts";
import { gpt2Config } from "./gpt2-config.ts";
import { llamaConfig } from "./llama-config.ts";

const ARCHITECTURES: ReadonlyMap<JsonValue | undefined, Architecture> = new Map([
  ["LlamaForCausalLM", "llama"],
  ["Qwen2ForCausalLM", "qwen2"],
  ["Qwen3ForCausalLM", "qwen3"],
  ["GPT2LMHeadModel", "gpt2"],
]);

/**
 * config.json of a Hugging Face folder in our words. Faults: model_unsupported names an architecture or a setting that
 * our graphs do not compute; file_malformed names a field that is missing or wrong.
 */
export function parseModelConfig(json: JsonObject): ModelConfig {
  const architecture = architectureOf(json);
  if (json["quantization_config"] != null) throw unsupported("quantization_config", "a quantized checkpoint");
  for (const field of ["num_experts", "num_local_experts", "n_routed_experts"]) {
    if (typeof json[field] === "number" && json[field] > 1) throw unsupported(field, "a mixture of experts");
  }
  return architecture === "gpt2" ? gpt2Config(json) : llamaConfig(architecture, json);
}

function architectureOf(json: JsonObject): Architecture {
  const { architectures } = json;
  const names: readonly JsonValue[] = Array.isArray(architectures) ? architectures : [];
  const architecture = names.length === 1 ? ARCHITECTURES.get(names[0]) : undefined;
  if (architecture) return architecture;
  const named = names.length > 0 ? names.slice(0, 4).map(String).join(", ").slice(0, 200) : "none";
  throw unsupported("architectures", `architecture ${named} (model_type ${String(json["model_type"]).slice(0, 100)})`);
}
