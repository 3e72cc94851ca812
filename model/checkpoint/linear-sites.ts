import type { LinearSite } from "../base.ts";
import type { ModelConfig } from "./contract.ts";

/** Every linear layer that a delta may change, in the order of computation. The fused q/k/v of GPT-2 is one site. */
export function linearSites(config: ModelConfig): LinearSite[] {
  const perLayer = config.architecture === "gpt2" ? gpt2Linears(config) : llamaLinears(config);
  const sites: LinearSite[] = [];
  for (let layer = 0; layer < config.layerCount; layer++) {
    for (const [site, module, inputSize, outputSize] of perLayer) {
      sites.push({ site: `layers.${layer}.${site}`, module: `${layerPrefix(config)}.${layer}.${module}`, inputSize, outputSize });
    }
  }
  return sites;
}

/** The module path of the list of layers. */
export function layerPrefix(config: ModelConfig): string {
  return config.architecture === "gpt2" ? "transformer.h" : "model.layers";
}

type Linear = readonly [site: string, module: string, inputSize: number, outputSize: number];

function llamaLinears(config: ModelConfig): readonly Linear[] {
  const { hiddenSize, intermediateSize } = config;
  const querySize = config.headCount * config.headSize;
  const keySize = config.kvHeadCount * config.headSize;
  return [
    ["q", "self_attn.q_proj", hiddenSize, querySize],
    ["k", "self_attn.k_proj", hiddenSize, keySize],
    ["v", "self_attn.v_proj", hiddenSize, keySize],
    ["o", "self_attn.o_proj", querySize, hiddenSize],
    ["gate", "mlp.gate_proj", hiddenSize, intermediateSize],
    ["up", "mlp.up_proj", hiddenSize, intermediateSize],
    ["down", "mlp.down_proj", intermediateSize, hiddenSize],
  ];
}

function gpt2Linears(config: ModelConfig): readonly Linear[] {
  const { hiddenSize, intermediateSize } = config;
  return [
    ["attn", "attn.c_attn", hiddenSize, 3 * hiddenSize],
    ["proj", "attn.c_proj", hiddenSize, hiddenSize],
    ["fc", "mlp.c_fc", hiddenSize, intermediateSize],
    ["fc_out", "mlp.c_proj", intermediateSize, hiddenSize],
  ];
}
