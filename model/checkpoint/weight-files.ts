import { access } from "node:fs/promises";
import path from "node:path";
import * as z from "zod";
import { MIB } from "#kernel";
import { checkShape, fileFault, readJsonObject, unlessMissing } from "../files/index.ts";
import { BASE_HEADER_LIMITS, readSafetensorsHeader, type SafetensorsHeader, type StoredTensor, shortName } from "../safetensors/index.ts";

const WEIGHTS_FILE = "model.safetensors";
const INDEX_FILE = "model.safetensors.index.json";
/** As large as the headers it repeats may be. */
const INDEX_BYTES_MAX = 25 * MIB;
/** The largest published checkpoints have fewer than 200 files. */
const SHARDS_MAX = 1024;

/** A shard's name is a plain file name, so that an index can't point out of its folder. */
const SHARD_PATTERN = /^[\w][\w.-]{0,200}\.safetensors$/;

const IndexFields = z.object({ weight_map: z.record(z.string(), z.string().regex(SHARD_PATTERN)) });

/** All files of a checkpoint in the order of their names, and where each stored tensor is. */
export interface WeightFiles {
  readonly headers: readonly SafetensorsHeader[];
  readonly tensors: ReadonlyMap<string, StoredTensor>;
}

/**
 * Opens the weights of a folder: one file, or shards with an index. Faults: model_unsupported for a folder that has
 * only pickle files, file_missing, file_malformed.
 */
export async function openWeightFiles(directory: string): Promise<WeightFiles> {
  const single = await unlessMissing(readSafetensorsHeader(path.join(directory, WEIGHTS_FILE), BASE_HEADER_LIMITS));
  if (single) return { headers: [single], tensors: single.tensors };
  const indexFile = path.join(directory, INDEX_FILE);
  const index = await unlessMissing(readJsonObject(indexFile, INDEX_BYTES_MAX, "follow"));
  if (index) return openShards(directory, checkShape(IndexFields, index, indexFile).weight_map);
  for (const pickle of ["pytorch_model.bin", "pytorch_model.bin.index.json"]) {
    if (await exists(path.join(directory, pickle))) {
      throw fileFault("model_unsupported", pickle, "a pickle file can run code and is never read; convert it to safetensors");
    }
  }
  throw fileFault("file_missing", WEIGHTS_FILE, "no such file");
}

async function openShards(directory: string, shardOf: Readonly<Record<string, string>>): Promise<WeightFiles> {
  const names = [...new Set(Object.values(shardOf))].sort();
  if (names.length > SHARDS_MAX) throw fileFault("file_malformed", INDEX_FILE, `${names.length} files, more than ${SHARDS_MAX}`);
  const headers = new Map<string, SafetensorsHeader>();
  for (const name of names) headers.set(name, await readSafetensorsHeader(path.join(directory, name), BASE_HEADER_LIMITS));
  const tensors = new Map<string, StoredTensor>();
  for (const [tensor, shard] of Object.entries(shardOf)) {
    const stored = headers.get(shard)?.tensors.get(tensor);
    if (!stored) throw fileFault("file_malformed", shard, `tensor ${shortName(tensor)} is not in it, although the index says so`);
    tensors.set(tensor, stored);
  }
  return { headers: [...headers.values()], tensors };
}

async function exists(file: string): Promise<boolean> {
  return access(file).then(
    () => true,
    () => false,
  );
}
