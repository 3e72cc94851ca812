import { copyFile, mkdir, readdir } from "node:fs/promises";
import path from "node:path";
import { assert } from "#kernel";
import { checkFinite, convertFromFloat32, type TensorToWrite, writeSafetensors } from "../safetensors/index.ts";
import type { Checkpoint } from "./contract.ts";

/** What a base's folder holds beside its weights: configuration, tokenizer, chat template. */
const SMALL_FILES = /^[\w.-]+\.(json|jinja|model|txt)$/;
const WEIGHTS_FILE = "model.safetensors";

/**
 * Writes a Hugging Face folder like `source`, with new weights of the same types. `values` are float32, by transformers'
 * full names. Fault weights_not_finite for a value that its type can't hold.
 */
export async function saveCheckpoint(
  directory: string,
  source: Checkpoint,
  values: ReadonlyMap<string, Float32Array<ArrayBuffer>>,
): Promise<void> {
  await mkdir(directory, { recursive: true });
  const tensors: TensorToWrite[] = [];
  for (const [name, { type, shape }] of source.tensors) {
    const own = values.get(name);
    assert(own, `a trained model has ${name}`);
    const data = convertFromFloat32(type, own);
    checkFinite({ name, file: WEIGHTS_FILE, type }, new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
    tensors.push({ name, type, shape, data });
  }
  for (const name of await readdir(source.directory)) {
    // The index of a sharded model says where weights were, not where they are now.
    if (SMALL_FILES.test(name) && !name.endsWith(".safetensors.index.json"))
      await copyFile(path.join(source.directory, name), path.join(directory, name));
  }
  await writeSafetensors(path.join(directory, WEIGHTS_FILE), tensors, { format: "pt" });
}
