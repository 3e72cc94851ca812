import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { type BaseInfo, writeSafetensors } from "#model";
import { cachedDirectory } from "./generated-cache.ts";
import { type GeneratedShape, type GeneratedTensor, generatedConfig, generatedTensors } from "./generated-shapes.ts";
import { generatedTokenizer } from "./generated-tokenizer.ts";
import { randomValues } from "./random-values.ts";

/** As the families initialise their weights, so that activations stay of a sane size. */
const WEIGHT_DEVIATION = 0.02;

/** A Hugging Face folder with random float32 weights of the given shape. */
export function generatedBase(cacheDirectory: string, shape: GeneratedShape, seed = 1): Promise<string> {
  return cachedDirectory(cacheDirectory, shape.name, { shape, seed }, async (directory) => {
    const tensors = generatedTensors(shape).map((tensor, index) => ({
      name: tensor.name,
      type: "F32" as const,
      shape: tensor.shape,
      data: tensorValues(tensor, seed * 10_000 + index),
    }));
    await writeSafetensors(join(directory, "model.safetensors"), tensors, { format: "pt" });
    await writeJson(join(directory, "config.json"), generatedConfig(shape));
    await writeJson(join(directory, "tokenizer.json"), generatedTokenizer(shape.vocabularySize));
  });
}

/** What a generated delta looks like. */
export interface DeltaShape {
  readonly rank: number;
  readonly count: number;
}

/** PEFT folders with random weights on every linear of `base`, no two alike. */
export async function generatedDeltas(cacheDirectory: string, base: BaseInfo, shape: DeltaShape): Promise<readonly string[]> {
  const sites = base.linears.map(({ module, inputSize, outputSize }) => [module, inputSize, outputSize]);
  const directories: string[] = [];
  for (let index = 0; index < shape.count; index++) {
    const parameters = { sites, rank: shape.rank, index };
    directories.push(
      await cachedDirectory(cacheDirectory, `delta-${index}`, parameters, (directory) => writeDelta(directory, base, shape.rank, index)),
    );
  }
  return directories;
}

async function writeDelta(directory: string, base: BaseInfo, rank: number, index: number): Promise<void> {
  const tensors = base.linears.flatMap(({ module, inputSize, outputSize }, site) => {
    const seed = (index + 1) * 10_000 + 2 * site;
    const part = (name: string, shape: readonly [number, number], deviation: number, seed: number) => ({
      name: `base_model.model.${module}.${name}.weight`,
      type: "F32" as const,
      shape,
      data: randomValues(shape[0] * shape[1], deviation, seed),
    });
    return [
      part("lora_A", [rank, inputSize], 1 / Math.sqrt(inputSize), seed),
      part("lora_B", [outputSize, rank], WEIGHT_DEVIATION, seed + 1),
    ];
  });
  await writeSafetensors(join(directory, "adapter_model.safetensors"), tensors, { format: "pt" });
  await writeJson(join(directory, "adapter_config.json"), {
    peft_type: "LORA",
    task_type: "CAUSAL_LM",
    base_model_name_or_path: base.name,
    r: rank,
    lora_alpha: 2 * rank,
    lora_dropout: 0,
    bias: "none",
    fan_in_fan_out: base.architecture === "gpt2",
    target_modules: [...new Set(base.linears.map(({ module }) => module.slice(module.lastIndexOf(".") + 1)))],
  });
}

function tensorValues({ shape, role }: GeneratedTensor, seed: number): Float32Array<ArrayBuffer> {
  const count = shape.reduce((product, size) => product * size, 1);
  if (role === "weight") return randomValues(count, WEIGHT_DEVIATION, seed);
  return new Float32Array(count).fill(role === "scale" ? 1 : 0);
}

async function writeJson(file: string, value: unknown): Promise<void> {
  await writeFile(file, `${JSON.stringify(value)}\n`);
}
