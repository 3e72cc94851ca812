import { mkdir, writeFile } from "node:fs/promises";
import path from "node:path";
import { seededRandom } from "#kernel";
import type { Architecture } from "../../base.ts";
import type { JsonObject } from "../../files/index.ts";
import { type TensorToWrite, writeSafetensors } from "../../safetensors/index.ts";
import { parseModelConfig } from "../config.ts";
import { neededTensors } from "../needed-tensors.ts";

const LLAMA = {
  hidden_size: 16,
  intermediate_size: 24,
  num_hidden_layers: 2,
  num_attention_heads: 4,
  num_key_value_heads: 2,
  vocab_size: 32,
  max_position_embeddings: 64,
  bos_token_id: 1,
  eos_token_id: 2,
};

/** A config.json of every family, small enough for tests. */
export const TINY_CONFIGS: Readonly<Record<Architecture, JsonObject>> = {
  llama: { architectures: ["LlamaForCausalLM"], ...LLAMA },
  qwen2: { architectures: ["Qwen2ForCausalLM"], ...LLAMA },
  qwen3: { architectures: ["Qwen3ForCausalLM"], ...LLAMA, head_dim: 8 },
  gpt2: { architectures: ["GPT2LMHeadModel"], n_embd: 16, n_layer: 2, n_head: 4, n_positions: 64, vocab_size: 32, eos_token_id: 31 },
};

/** All tensors that a configuration asks for, with random values. */
export function tinyTensors(config: JsonObject, seed = 1): TensorToWrite[] {
  const random = seededRandom(seed);
  return [...neededTensors(parseModelConfig(config))].map(([name, shape]) => {
    const count = shape.reduce((product, size) => product * size, 1);
    return { name, type: "F32", shape, data: new Float32Array(count).map(() => random.float() - 0.5) };
  });
}

/** Writes a folder that `openCheckpoint` takes, for tests; a test changes what it wants to be wrong. */
export async function writeTinyCheckpoint(
  directory: string,
  config: JsonObject,
  tensors: readonly TensorToWrite[] = tinyTensors(config),
): Promise<void> {
  await mkdir(directory, { recursive: true });
  await writeFile(path.join(directory, "config.json"), JSON.stringify(config));
  await writeSafetensors(path.join(directory, "model.safetensors"), tensors);
}
