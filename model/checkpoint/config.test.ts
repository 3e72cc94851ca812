import { describe, expect, test } from "vitest";
import type { Architecture } from "../base.ts";
import type { JsonObject } from "../files/index.ts";
import { parseModelConfig } from "./config.ts";
import { TINY_CONFIGS } from "./testing/tiny-checkpoint.ts";

const parse = (architecture: Architecture, changes: JsonObject = {}) => parseModelConfig({ ...TINY_CONFIGS[architecture], ...changes });

describe("what a config.json means", () => {
  test("defaults are those of transformers", () => {
    expect(parse("llama")).toEqual({
      architecture: "llama",
      layerCount: 2,
      hiddenSize: 16,
      intermediateSize: 24,
      headCount: 4,
      kvHeadCount: 2,
      headSize: 4,
      vocabularySize: 32,
      contextTokensMax: 64,
      normEpsilon: 1e-6,
      rope: { theta: 10_000, scaling: { kind: "none" } },
      tiedEmbeddings: false,
      attentionBias: "none",
      mlpBias: false,
      activation: "silu",
    });
    expect(parse("llama", { num_key_value_heads: null }).kvHeadCount).toBe(4);
    expect(parse("gpt2")).toMatchObject({
      intermediateSize: 64,
      headSize: 4,
      normEpsilon: 1e-5,
      activation: "gelu_tanh",
      tiedEmbeddings: true,
      rope: undefined,
    });
    expect(parse("qwen3", { head_dim: null }).headSize).toBe(128);
  });

  test("biases belong to the family", () => {
    expect(parse("llama", { attention_bias: true, mlp_bias: true })).toMatchObject({ attentionBias: "qkvo", mlpBias: true });
    expect(parse("qwen2", { attention_bias: false })).toMatchObject({ attentionBias: "qkv", mlpBias: false });
    expect(parse("qwen3", { attention_bias: true })).toMatchObject({ attentionBias: "qkvo" });
    expect(parse("gpt2")).toMatchObject({ attentionBias: "qkvo", mlpBias: true });
  });

  const llama3 = { factor: 8, low_freq_factor: 1, high_freq_factor: 4, original_max_position_embeddings: 16 };
  const llama3Scaling = { kind: "llama3", factor: 8, lowFrequencyFactor: 1, highFrequencyFactor: 4, originalContextTokensMax: 16 };
  test.each<[string, JsonObject, unknown]>([
    ["as of transformers 5", { rope_parameters: { rope_theta: 5e5, rope_type: "default" } }, { theta: 5e5, scaling: { kind: "none" } }],
    ["as before", { rope_theta: 1e6, rope_scaling: null }, { theta: 1e6, scaling: { kind: "none" } }],
    ["linear", { rope_scaling: { type: "linear", factor: 2 } }, { theta: 1e4, scaling: { kind: "linear", factor: 2 } }],
    [
      "linear, newer",
      { rope_parameters: { rope_type: "linear", factor: 4 }, rope_theta: 7 },
      { theta: 7, scaling: { kind: "linear", factor: 4 } },
    ],
    ["llama3", { rope_theta: 5e5, rope_scaling: { rope_type: "llama3", ...llama3 } }, { theta: 5e5, scaling: llama3Scaling }],
    ["llama3, newer", { rope_parameters: { rope_theta: 5e5, rope_type: "llama3", ...llama3 } }, { theta: 5e5, scaling: llama3Scaling }],
  ])("rope %s", (_, changes, expected) => {
    expect(parse("llama", changes).rope).toEqual(expected);
  });

  test("a sliding window that no layer uses is no obstacle", () => {
    expect(parse("qwen2", { sliding_window: 32, use_sliding_window: false })).toBeDefined();
    expect(parse("qwen2", { sliding_window: 32, use_sliding_window: true, max_window_layers: 2 })).toBeDefined();
    expect(parse("qwen3", { layer_types: ["full_attention", "full_attention"], sliding_window: null })).toBeDefined();
  });
});

describe("what our graphs do not compute is refused by name", () => {
  test.each<[Architecture, JsonObject, string]>([
    ["llama", { architectures: ["MixtralForCausalLM"], model_type: "mixtral" }, "architecture MixtralForCausalLM"],
    ["llama", { architectures: ["LlamaForSequenceClassification"] }, "LlamaForSequenceClassification"],
    ["llama", { architectures: [] }, "architecture none"],
    ["llama", { architectures: "LlamaForCausalLM" }, "architecture none"],
    ["llama", { architectures: ["__proto__"] }, "architecture __proto__"],
    ["llama", { architectures: ["LlamaForCausalLM", "GPT2LMHeadModel"] }, "LlamaForCausalLM, GPT2LMHeadModel"],
    ["llama", { quantization_config: { quant_method: "gptq" } }, "quantization_config"],
    ["qwen2", { num_experts: 8 }, "num_experts: a mixture of experts"],
    ["llama", { rope_scaling: { type: "dynamic", factor: 2 } }, 'rope type "dynamic"'],
    ["llama", { rope_parameters: { rope_type: "yarn", factor: 2 } }, 'rope type "yarn"'],
    ["llama", { rope_scaling: { rope_type: "longrope" } }, 'rope type "longrope"'],
    ["qwen2", { rope_scaling: { type: "mrope", mrope_section: [1, 2] } }, 'rope type "mrope"'],
    ["llama", { rope_parameters: { full_attention: { rope_theta: 1 } } }, "a different rope per layer type"],
    ["llama", { partial_rotary_factor: 0.5 }, "partial_rotary_factor"],
    ["llama", { hidden_act: "xielu" }, 'activation "xielu"'],
    ["qwen2", { use_sliding_window: true, sliding_window: 32, max_window_layers: 1 }, "use_sliding_window"],
    ["qwen3", { layer_types: ["full_attention", "sliding_attention"] }, 'layer type "sliding_attention"'],
    ["gpt2", { scale_attn_weights: false }, "scale_attn_weights"],
    ["gpt2", { scale_attn_by_inverse_layer_idx: true }, "scale_attn_by_inverse_layer_idx"],
    ["gpt2", { add_cross_attention: true }, "add_cross_attention"],
  ])("%s with %j", (architecture, changes, named) => {
    expect(() => parse(architecture, changes)).toThrow(expect.objectContaining({ reason: "model_unsupported" }));
    expect(() => parse(architecture, changes)).toThrow(named);
  });
});

describe("what can't be is refused by field", () => {
  test.each<[Architecture, JsonObject, string]>([
    ["llama", { hidden_size: "16" }, "hidden_size"],
    ["llama", { hidden_size: 0 }, "hidden_size"],
    ["llama", { hidden_size: 2 ** 40 }, "hidden_size"],
    ["llama", { num_hidden_layers: 1e9 }, "num_hidden_layers"],
    ["llama", { num_hidden_layers: 1.5 }, "num_hidden_layers"],
    ["llama", { vocab_size: -1 }, "vocab_size"],
    ["llama", { num_key_value_heads: 3 }, "num_key_value_heads"],
    ["llama", { num_attention_heads: 5, num_key_value_heads: 5 }, "num_attention_heads"],
    ["llama", { head_dim: 5 }, "head_dim"],
    ["llama", { rope_theta: -1 }, "rope_theta"],
    ["llama", { rope_scaling: "linear" }, "rope_scaling"],
    ["llama", { rope_scaling: { type: "linear" } }, "factor"],
    [
      "llama",
      { rope_scaling: { rope_type: "llama3", factor: 8, low_freq_factor: 1, high_freq_factor: 4 } },
      "original_max_position_embeddings",
    ],
    ["llama", { rms_norm_eps: 2 }, "rms_norm_eps"],
    ["gpt2", { n_head: 3 }, "n_head"],
    ["gpt2", { n_positions: null }, "n_positions"],
  ])("%s with %j", (architecture, changes, named) => {
    expect(() => parse(architecture, changes)).toThrow(expect.objectContaining({ reason: "file_malformed" }));
    expect(() => parse(architecture, changes)).toThrow(named);
  });
});
