import { mkdir, writeFile } from "node:fs/promises";
import path from "node:path";
import { type Random, seededRandom } from "#kernel";
import { type Checkpoint, type LoadedDelta, openCheckpoint, writeSafetensors } from "#model";

/** Tiny models with random weights, one per family and variant, for tests. The size of heads × heads differs from the width where the family allows it. */
export const TINY_CONFIGS = {
  "llama, grouped queries, tied, llama3 positions": {
    ...llamaShape("llama"),
    num_key_value_heads: 2,
    tie_word_embeddings: true,
    rope_scaling: { rope_type: "llama3", factor: 8, low_freq_factor: 1, high_freq_factor: 4, original_max_position_embeddings: 32 },
  },
  "llama, all biases, untied, linear positions": {
    ...llamaShape("llama"),
    attention_bias: true,
    mlp_bias: true,
    tie_word_embeddings: false,
    rope_scaling: { rope_type: "linear", factor: 2 },
  },
  qwen2: { ...llamaShape("qwen2"), num_key_value_heads: 1, tie_word_embeddings: true },
  "qwen3, heads wider than the model": { ...llamaShape("qwen3"), num_key_value_heads: 2, head_dim: 16, tie_word_embeddings: false },
  gpt2: {
    model_type: "gpt2",
    architectures: ["GPT2LMHeadModel"],
    n_embd: 32,
    n_layer: 2,
    n_head: 4,
    vocab_size: 97,
    n_positions: 256,
    n_inner: null,
    layer_norm_epsilon: 1e-5,
    activation_function: "gelu_new",
  },
} as const;

function llamaShape(family: "llama" | "qwen2" | "qwen3") {
  const name = { llama: "Llama", qwen2: "Qwen2", qwen3: "Qwen3" }[family];
  return {
    model_type: family,
    architectures: [`${name}ForCausalLM`],
    hidden_size: 32,
    intermediate_size: 48,
    num_hidden_layers: 2,
    num_attention_heads: 4,
    vocab_size: 97,
    max_position_embeddings: 256,
    rms_norm_eps: 1e-6,
    rope_theta: 10000,
    hidden_act: "silu",
  };
}

/**
 * Chance with sixteen outcomes. Weights made of it stand on the sixteen steps that blocks of 4 bits have, and the lowest comes often enough
 * that every block has it: their quantisation changes nothing, and what is left is told apart from an error.
 */
export function steppedRandom(seed: number): Random {
  const random = seededRandom(seed);
  let drawn = 0;
  return { ...random, float: () => (drawn++ % 7 === 0 ? 0 : random.below(16) / 16), below: (limit) => random.below(limit) };
}

/** Writes such a model to a folder and opens it. */
export async function createTinyCheckpoint(
  directory: string,
  config: (typeof TINY_CONFIGS)[keyof typeof TINY_CONFIGS],
  random: Random,
): Promise<Checkpoint> {
  await mkdir(directory, { recursive: true });
  await writeFile(path.join(directory, "config.json"), JSON.stringify(config));
  const tensors = tensorShapes(config).map(([name, shape]) => ({
    name,
    type: "F32" as const,
    shape,
    data: randomValues(
      shape.reduce((product, size) => product * size, 1),
      random,
      /(norm|ln_.)\.weight$/.test(name) ? 1 : 0,
    ),
  }));
  await writeSafetensors(path.join(directory, "model.safetensors"), tensors);
  return openCheckpoint(directory);
}

/** A delta on every linear layer, or on those whose site matches `sites`. */
export function createTinyDelta(checkpoint: Checkpoint, rank: number, random: Random, sites = /./): LoadedDelta {
  const { info } = checkpoint;
  const layers = info.linears
    .filter(({ site }) => sites.test(site))
    .map(({ site, inputSize, outputSize }) => ({
      site,
      rank,
      a: randomValues(rank * inputSize, random),
      b: randomValues(rank * outputSize, random),
    }));
  const sizeBytes = layers.reduce((sum, { a, b }) => sum + a.byteLength + b.byteLength, 0);
  return {
    reference: { digest: "", tenantId: "", baseDigest: info.digest } as unknown as LoadedDelta["reference"],
    rank,
    sizeBytes,
    layers,
  };
}

function randomValues(count: number, random: Random, around = 0): Float32Array<ArrayBuffer> {
  return Float32Array.from({ length: count }, () => around + (random.float() - 0.5) * 0.6);
}

type Shapes = [name: string, shape: number[]][];

function tensorShapes(config: (typeof TINY_CONFIGS)[keyof typeof TINY_CONFIGS]): Shapes {
  return "n_embd" in config ? gpt2Shapes(config) : llamaShapes(config);
}

function gpt2Shapes({ n_embd: width, n_layer, vocab_size, n_positions }: (typeof TINY_CONFIGS)["gpt2"]): Shapes {
  const shapes: Shapes = [
    ["transformer.wte.weight", [vocab_size, width]],
    ["transformer.wpe.weight", [n_positions, width]],
  ];
  const norm = (name: string) => shapes.push([`${name}.weight`, [width]], [`${name}.bias`, [width]]);
  const conv = (name: string, from: number, to: number) => shapes.push([`${name}.weight`, [from, to]], [`${name}.bias`, [to]]);
  norm("transformer.ln_f");
  for (let layer = 0; layer < n_layer; layer++) {
    const at = `transformer.h.${layer}`;
    norm(`${at}.ln_1`);
    norm(`${at}.ln_2`);
    conv(`${at}.attn.c_attn`, width, 3 * width);
    conv(`${at}.attn.c_proj`, width, width);
    conv(`${at}.mlp.c_fc`, width, 4 * width);
    conv(`${at}.mlp.c_proj`, 4 * width, width);
  }
  return shapes;
}

interface LlamaFields extends ReturnType<typeof llamaShape> {
  readonly num_key_value_heads?: number;
  readonly head_dim?: number;
  readonly tie_word_embeddings: boolean;
  readonly attention_bias?: boolean;
  readonly mlp_bias?: boolean;
}

function llamaShapes(config: LlamaFields): Shapes {
  const { hidden_size: width, intermediate_size: inner, num_attention_heads: heads, vocab_size } = config;
  const headSize = config.head_dim ?? width / heads;
  const keySize = headSize * (config.num_key_value_heads ?? heads);
  const shapes: Shapes = [
    ["model.embed_tokens.weight", [vocab_size, width]],
    ["model.norm.weight", [width]],
  ];
  if (!config.tie_word_embeddings) shapes.push(["lm_head.weight", [vocab_size, width]]);
  const linear = (name: string, from: number, to: number, bias: boolean) => {
    shapes.push([`${name}.weight`, [to, from]]);
    if (bias) shapes.push([`${name}.bias`, [to]]);
  };
  const attentionBias = config.attention_bias ?? false;
  for (let layer = 0; layer < config.num_hidden_layers; layer++) {
    const at = `model.layers.${layer}`;
    shapes.push([`${at}.input_layernorm.weight`, [width]], [`${at}.post_attention_layernorm.weight`, [width]]);
    linear(`${at}.self_attn.q_proj`, width, heads * headSize, attentionBias || config.model_type === "qwen2");
    linear(`${at}.self_attn.k_proj`, width, keySize, attentionBias || config.model_type === "qwen2");
    linear(`${at}.self_attn.v_proj`, width, keySize, attentionBias || config.model_type === "qwen2");
    linear(`${at}.self_attn.o_proj`, heads * headSize, width, attentionBias);
    for (const name of ["gate_proj", "up_proj"]) linear(`${at}.mlp.${name}`, width, inner, config.mlp_bias ?? false);
    linear(`${at}.mlp.down_proj`, inner, width, config.mlp_bias ?? false);
    if (config.model_type === "qwen3")
      shapes.push([`${at}.self_attn.q_norm.weight`, [headSize]], [`${at}.self_attn.k_norm.weight`, [headSize]]);
  }
  return shapes;
}
