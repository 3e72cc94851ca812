import type { ModelConfig } from "./contract.ts";
import { layerPrefix, linearSites } from "./linear-sites.ts";

/** Names and shapes of all tensors that the architecture computes with, in transformers' full names. */
export function neededTensors(config: ModelConfig): ReadonlyMap<string, readonly number[]> {
  const tensors = config.architecture === "gpt2" ? gpt2Tensors(config) : llamaTensors(config);
  if (!config.tiedEmbeddings) tensors.push(["lm_head.weight", [config.vocabularySize, config.hiddenSize]]);
  return new Map(tensors);
}

type Tensor = [name: string, shape: readonly number[]];

function llamaTensors(config: ModelConfig): Tensor[] {
  const { hiddenSize, headSize } = config;
  const tensors: Tensor[] = [
    ["model.embed_tokens.weight", [config.vocabularySize, hiddenSize]],
    ["model.norm.weight", [hiddenSize]],
  ];
  for (const { site, module, inputSize, outputSize } of linearSites(config)) {
    tensors.push([`${module}.weight`, [outputSize, inputSize]]);
    if (hasBias(config, site.slice(site.lastIndexOf(".") + 1))) tensors.push([`${module}.bias`, [outputSize]]);
  }
  for (let layer = 0; layer < config.layerCount; layer++) {
    const prefix = `${layerPrefix(config)}.${layer}`;
    tensors.push([`${prefix}.input_layernorm.weight`, [hiddenSize]], [`${prefix}.post_attention_layernorm.weight`, [hiddenSize]]);
    if (config.architecture !== "qwen3") continue;
    tensors.push([`${prefix}.self_attn.q_norm.weight`, [headSize]], [`${prefix}.self_attn.k_norm.weight`, [headSize]]);
  }
  return tensors;
}

function hasBias(config: ModelConfig, linear: string): boolean {
  switch (linear) {
    case "q":
    case "k":
    case "v":
      return config.attentionBias !== "none";
    case "o":
      return config.attentionBias === "qkvo";
    default:
      return config.mlpBias;
  }
}

function gpt2Tensors(config: ModelConfig): Tensor[] {
  const { hiddenSize } = config;
  const tensors: Tensor[] = [
    ["transformer.wte.weight", [config.vocabularySize, hiddenSize]],
    ["transformer.wpe.weight", [config.contextTokensMax, hiddenSize]],
    ["transformer.ln_f.weight", [hiddenSize]],
    ["transformer.ln_f.bias", [hiddenSize]],
  ];
  // GPT-2's linears are Conv1D modules: stored [in, out].
  for (const { module, inputSize, outputSize } of linearSites(config)) {
    tensors.push([`${module}.weight`, [inputSize, outputSize]], [`${module}.bias`, [outputSize]]);
  }
  for (let layer = 0; layer < config.layerCount; layer++) {
    for (const norm of ["ln_1", "ln_2"]) {
      const prefix = `${layerPrefix(config)}.${layer}.${norm}`;
      tensors.push([`${prefix}.weight`, [hiddenSize]], [`${prefix}.bias`, [hiddenSize]]);
    }
  }
  return tensors;
}
