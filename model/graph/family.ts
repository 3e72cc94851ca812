import type { Architecture } from "../base.ts";

/** How one family names and shapes what all decoders have. Module names are relative to `layer` unless they stand outside of layers. */
export interface Family {
  /** Where layer `index` begins. */
  readonly layer: (index: number) => string;
  readonly embedding: string;
  /** Learned position embeddings; rotary families have none. */
  readonly positions?: string;
  readonly finalNorm: string;
  readonly head: string;
  readonly norm: "rms" | "layer";
  readonly attentionNorm: string;
  readonly mlpNorm: string;
  /** Fills query, key and value in this order; one module when the checkpoint has them fused. */
  readonly queryKeyValue: readonly string[];
  readonly headNorms?: { readonly query: string; readonly key: string };
  readonly attentionOutput: string;
  /** Gate and up of a gated MLP, or the only one going up. */
  readonly mlpInput: readonly string[];
  readonly mlpOutput: string;
  /** How linear weights are stored: a torch Linear is [out, in], GPT-2's Conv1D is [in, out]. */
  readonly weightOrder: "out_in" | "in_out";
}

const llama: Family = {
  layer: (index) => `model.layers.${index}.`,
  embedding: "model.embed_tokens",
  finalNorm: "model.norm",
  head: "lm_head",
  norm: "rms",
  attentionNorm: "input_layernorm",
  mlpNorm: "post_attention_layernorm",
  queryKeyValue: ["self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"],
  attentionOutput: "self_attn.o_proj",
  mlpInput: ["mlp.gate_proj", "mlp.up_proj"],
  mlpOutput: "mlp.down_proj",
  weightOrder: "out_in",
};

export const FAMILIES: Readonly<Record<Architecture, Family>> = {
  llama,
  qwen2: llama,
  qwen3: { ...llama, headNorms: { query: "self_attn.q_norm", key: "self_attn.k_norm" } },
  gpt2: {
    layer: (index) => `transformer.h.${index}.`,
    embedding: "transformer.wte",
    positions: "transformer.wpe",
    finalNorm: "transformer.ln_f",
    head: "lm_head",
    norm: "layer",
    attentionNorm: "ln_1",
    mlpNorm: "ln_2",
    queryKeyValue: ["attn.c_attn"],
    attentionOutput: "attn.c_proj",
    mlpInput: ["mlp.c_fc"],
    mlpOutput: "mlp.c_proj",
    weightOrder: "in_out",
  },
};
