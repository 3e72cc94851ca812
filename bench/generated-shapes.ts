/** What a generated base looks like; also its key in the cache, together with the seed. */
export interface GeneratedShape {
  readonly name: string;
  readonly family: "llama" | "gpt2";
  readonly layerCount: number;
  readonly hiddenSize: number;
  readonly headCount: number;
  readonly kvHeadCount: number;
  readonly intermediateSize: number;
  readonly vocabularySize: number;
  readonly contextTokensMax: number;
}

/** 32 M parameters: small enough that the work outside the kernels shows. */
export const SHAPE_32M: GeneratedShape = {
  name: "llama-32m",
  family: "llama",
  layerCount: 8,
  hiddenSize: 512,
  headCount: 8,
  kvHeadCount: 4,
  intermediateSize: 1408,
  vocabularySize: 8192,
  contextTokensMax: 1024,
};

/** 124 M parameters: GPT-2 small's shape. */
export const SHAPE_124M: GeneratedShape = {
  name: "gpt2-124m",
  family: "gpt2",
  layerCount: 12,
  hiddenSize: 768,
  headCount: 12,
  kvHeadCount: 12,
  intermediateSize: 3072,
  vocabularySize: 50257,
  contextTokensMax: 1024,
};

/** So small that the engine is no bottleneck: for what happens around it. */
export const SHAPE_TINY: GeneratedShape = {
  name: "llama-tiny",
  family: "llama",
  layerCount: 1,
  hiddenSize: 64,
  headCount: 4,
  kvHeadCount: 2,
  intermediateSize: 128,
  vocabularySize: 1024,
  contextTokensMax: 512,
};

/** config.json of the shape. No id ends a text, so that every run computes the tokens it was asked for. */
export function generatedConfig(shape: GeneratedShape): Record<string, unknown> {
  return shape.family === "llama" ? llamaConfig(shape) : gpt2Config(shape);
}

function llamaConfig(shape: GeneratedShape): Record<string, unknown> {
  return {
    architectures: ["LlamaForCausalLM"],
    model_type: "llama",
    torch_dtype: "float32",
    num_hidden_layers: shape.layerCount,
    hidden_size: shape.hiddenSize,
    num_attention_heads: shape.headCount,
    num_key_value_heads: shape.kvHeadCount,
    intermediate_size: shape.intermediateSize,
    vocab_size: shape.vocabularySize,
    max_position_embeddings: shape.contextTokensMax,
    rms_norm_eps: 1e-5,
    rope_theta: 10000,
    hidden_act: "silu",
    tie_word_embeddings: false,
    bos_token_id: null,
    eos_token_id: null,
  };
}

function gpt2Config(shape: GeneratedShape): Record<string, unknown> {
  return {
    architectures: ["GPT2LMHeadModel"],
    model_type: "gpt2",
    torch_dtype: "float32",
    n_layer: shape.layerCount,
    n_embd: shape.hiddenSize,
    n_head: shape.headCount,
    n_inner: shape.intermediateSize,
    vocab_size: shape.vocabularySize,
    n_positions: shape.contextTokensMax,
    n_ctx: shape.contextTokensMax,
    layer_norm_epsilon: 1e-5,
    activation_function: "gelu_new",
    tie_word_embeddings: true,
    bos_token_id: null,
    eos_token_id: null,
  };
}

/** The tensors of a checkpoint: its names and shapes, and whether each holds a linear layer's weights, a norm's scale or a bias. */
export interface GeneratedTensor {
  readonly name: string;
  readonly shape: readonly number[];
  readonly role: "weight" | "scale" | "bias";
}

export function generatedTensors(shape: GeneratedShape): readonly GeneratedTensor[] {
  return shape.family === "llama" ? llamaTensors(shape) : gpt2Tensors(shape);
}

function llamaTensors(shape: GeneratedShape): GeneratedTensor[] {
  const { hiddenSize: hidden, intermediateSize: inner, vocabularySize: vocabulary } = shape;
  const kv = (hidden / shape.headCount) * shape.kvHeadCount;
  const layer = (prefix: string): GeneratedTensor[] => [
    { name: `${prefix}.input_layernorm.weight`, shape: [hidden], role: "scale" },
    { name: `${prefix}.self_attn.q_proj.weight`, shape: [hidden, hidden], role: "weight" },
    { name: `${prefix}.self_attn.k_proj.weight`, shape: [kv, hidden], role: "weight" },
    { name: `${prefix}.self_attn.v_proj.weight`, shape: [kv, hidden], role: "weight" },
    { name: `${prefix}.self_attn.o_proj.weight`, shape: [hidden, hidden], role: "weight" },
    { name: `${prefix}.post_attention_layernorm.weight`, shape: [hidden], role: "scale" },
    { name: `${prefix}.mlp.gate_proj.weight`, shape: [inner, hidden], role: "weight" },
    { name: `${prefix}.mlp.up_proj.weight`, shape: [inner, hidden], role: "weight" },
    { name: `${prefix}.mlp.down_proj.weight`, shape: [hidden, inner], role: "weight" },
  ];
  return [
    { name: "model.embed_tokens.weight", shape: [vocabulary, hidden], role: "weight" },
    ...Array.from({ length: shape.layerCount }, (_, index) => layer(`model.layers.${index}`)).flat(),
    { name: "model.norm.weight", shape: [hidden], role: "scale" },
    { name: "lm_head.weight", shape: [vocabulary, hidden], role: "weight" },
  ];
}

function gpt2Tensors(shape: GeneratedShape): GeneratedTensor[] {
  const { hiddenSize: hidden, intermediateSize: inner } = shape;
  const norm = (name: string): GeneratedTensor[] => [
    { name: `${name}.weight`, shape: [hidden], role: "scale" },
    { name: `${name}.bias`, shape: [hidden], role: "bias" },
  ];
  const linear = (name: string, input: number, output: number): GeneratedTensor[] => [
    { name: `${name}.weight`, shape: [input, output], role: "weight" },
    { name: `${name}.bias`, shape: [output], role: "bias" },
  ];
  const layer = (prefix: string): GeneratedTensor[] => [
    ...norm(`${prefix}.ln_1`),
    ...linear(`${prefix}.attn.c_attn`, hidden, 3 * hidden),
    ...linear(`${prefix}.attn.c_proj`, hidden, hidden),
    ...norm(`${prefix}.ln_2`),
    ...linear(`${prefix}.mlp.c_fc`, hidden, inner),
    ...linear(`${prefix}.mlp.c_proj`, inner, hidden),
  ];
  return [
    { name: "transformer.wte.weight", shape: [shape.vocabularySize, hidden], role: "weight" },
    { name: "transformer.wpe.weight", shape: [shape.contextTokensMax, hidden], role: "weight" },
    ...Array.from({ length: shape.layerCount }, (_, index) => layer(`transformer.h.${index}`)).flat(),
    ...norm("transformer.ln_f"),
  ];
}
