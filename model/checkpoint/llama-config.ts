import * as z from "zod";
import type { Architecture } from "../base.ts";
import { checkShape, type JsonObject } from "../files/index.ts";
import { activationNamed } from "./activation.ts";
import { malformed, unsupported } from "./config-fault.ts";
import { contextTokens, epsilon, flag, headCount, layerCount, vocabularySize, width } from "./config-fields.ts";
import type { ModelConfig } from "./contract.ts";
import { ropeConfig } from "./rope-config.ts";

/** Absent fields have the defaults of transformers' classes. */
const Fields = z.object({
  hidden_size: width,
  intermediate_size: width,
  num_hidden_layers: layerCount,
  num_attention_heads: headCount,
  num_key_value_heads: headCount.nullish(),
  head_dim: width.nullish(),
  vocab_size: vocabularySize,
  max_position_embeddings: contextTokens,
  rms_norm_eps: epsilon.default(1e-6),
  hidden_act: z.string().default("silu"),
  tie_word_embeddings: flag,
  attention_bias: flag,
  mlp_bias: flag,
  use_sliding_window: flag,
  sliding_window: z.int().nullish(),
  max_window_layers: z.int().nullish(),
  layer_types: z.array(z.string()).nullish(),
});

type Fields = z.infer<typeof Fields>;

/** The families of one shape: Llama, Qwen2 (biases on q, k and v) and Qwen3 (norms on q and k, its own head size). */
export function llamaConfig(architecture: Exclude<Architecture, "gpt2">, json: JsonObject): ModelConfig {
  const fields = checkShape(Fields, json, "config.json");
  refuseSlidingWindow(fields, architecture);
  const kvHeadCount = fields.num_key_value_heads ?? fields.num_attention_heads;
  if (fields.num_attention_heads % kvHeadCount !== 0) throw malformed("num_key_value_heads", "does not divide num_attention_heads");
  return {
    architecture,
    layerCount: fields.num_hidden_layers,
    hiddenSize: fields.hidden_size,
    intermediateSize: fields.intermediate_size,
    headCount: fields.num_attention_heads,
    kvHeadCount,
    headSize: headSizeOf(fields, architecture),
    vocabularySize: fields.vocab_size,
    contextTokensMax: fields.max_position_embeddings,
    normEpsilon: fields.rms_norm_eps,
    rope: ropeConfig(json),
    tiedEmbeddings: fields.tie_word_embeddings ?? false,
    attentionBias: attentionBiasOf(fields, architecture),
    mlpBias: architecture === "llama" && (fields.mlp_bias ?? false),
    activation: activationNamed(fields.hidden_act, "hidden_act"),
  };
}

function attentionBiasOf(fields: Fields, architecture: Architecture): ModelConfig["attentionBias"] {
  if (architecture === "qwen2") return "qkv";
  return fields.attention_bias ? "qkvo" : "none";
}

function headSizeOf(fields: Fields, architecture: Architecture): number {
  const headSize = fields.head_dim ?? (architecture === "qwen3" ? 128 : fields.hidden_size / fields.num_attention_heads);
  if (!Number.isInteger(headSize)) throw malformed("num_attention_heads", "does not divide hidden_size");
  if (headSize % 2 !== 0) throw malformed("head_dim", `${headSize} is odd; rotary positions turn pairs`);
  return headSize;
}

/** A window may be configured and not used: by Llama never, by Qwen only from layer `max_window_layers` on. */
function refuseSlidingWindow(fields: Fields, architecture: Architecture): void {
  const foreign = fields.layer_types?.find((type) => type !== "full_attention");
  if (foreign !== undefined) throw unsupported("layer_types", `layer type ${JSON.stringify(foreign.slice(0, 100))}`);
  if (architecture === "llama" || fields.layer_types || !fields.use_sliding_window || fields.sliding_window == null) return;
  if (fields.num_hidden_layers > (fields.max_window_layers ?? 28)) throw unsupported("use_sliding_window", "a sliding window in use");
}
