import * as z from "zod";
import { checkShape, type JsonObject } from "../files/index.ts";
import { activationNamed } from "./activation.ts";
import { malformed, unsupported } from "./config-fault.ts";
import { contextTokens, epsilon, flag, headCount, layerCount, vocabularySize, width } from "./config-fields.ts";
import type { ModelConfig } from "./contract.ts";

/** Absent fields have the defaults of transformers' class. */
const Fields = z.object({
  n_embd: width,
  n_layer: layerCount,
  n_head: headCount,
  n_positions: contextTokens,
  n_inner: width.nullish(),
  vocab_size: vocabularySize,
  layer_norm_epsilon: epsilon.default(1e-5),
  activation_function: z.string().default("gelu_new"),
  tie_word_embeddings: flag,
  scale_attn_weights: flag,
  scale_attn_by_inverse_layer_idx: flag,
  add_cross_attention: flag,
});

export function gpt2Config(json: JsonObject): ModelConfig {
  const fields = checkShape(Fields, json, "config.json");
  if (fields.scale_attn_weights === false) throw unsupported("scale_attn_weights", "false");
  if (fields.scale_attn_by_inverse_layer_idx) throw unsupported("scale_attn_by_inverse_layer_idx", "true");
  if (fields.add_cross_attention) throw unsupported("add_cross_attention", "true");
  const headSize = fields.n_embd / fields.n_head;
  if (!Number.isInteger(headSize)) throw malformed("n_head", "does not divide n_embd");
  return {
    architecture: "gpt2",
    layerCount: fields.n_layer,
    hiddenSize: fields.n_embd,
    intermediateSize: fields.n_inner ?? 4 * fields.n_embd,
    headCount: fields.n_head,
    kvHeadCount: fields.n_head,
    headSize,
    vocabularySize: fields.vocab_size,
    contextTokensMax: fields.n_positions,
    normEpsilon: fields.layer_norm_epsilon,
    rope: undefined,
    tiedEmbeddings: fields.tie_word_embeddings ?? true,
    attentionBias: "qkvo",
    mlpBias: true,
    activation: activationNamed(fields.activation_function, "activation_function"),
  };
}
