import { access } from "node:fs/promises";
import path from "node:path";
import { type Bytes, GIB, isFault, MIB, sha256Hex } from "#kernel";
import type { BaseInfo } from "../base.ts";
import { fileFault, type Links, readWholeFile } from "../files/index.ts";
import { DELTA_HEADER_LIMITS, type HeaderLimits, parseSafetensors } from "../safetensors/index.ts";
import { pairTensors, type TensorPair, WEIGHTS_FILE } from "./delta-tensors.ts";
import { CONFIG_FILE, parsePeftConfig, RANK_MAX } from "./peft-config.ts";
import { selectTargets } from "./targets.ts";

/** What a delta's files may be; each is checked before anything is read or parsed. */
export interface DeltaLimits {
  /** PEFT's own are 1 to 2 kB; one with a list of all linears and patterns for each has about 200 kB. */
  readonly configBytesMax: Bytes;
  /** Beside this, no file may be larger than the base's linears allow at the highest rank. */
  readonly weightsBytesMax: Bytes;
  readonly header: HeaderLimits;
  /** At most 512. */
  readonly rankMax: number;
  /** A store's own files are never links; someone's working folder may be made of them. */
  readonly links: Links;
}

/** 4 GiB holds rank 128 on all linears of a base of 70 B parameters, in float32. */
export const DELTA_LIMITS: DeltaLimits = {
  configBytesMax: MIB,
  weightsBytesMax: 4 * GIB,
  header: DELTA_HEADER_LIMITS,
  rankMax: RANK_MAX,
  links: "refuse",
};

/** A PEFT folder, read once: what was hashed is what was checked is what will be used. */
export interface DeltaFolder {
  readonly configSha256: string;
  readonly weightsSha256: string;
  /** In the order of the base's linears. */
  readonly pairs: readonly TensorPair[];
  /** The whole weights file. */
  readonly content: Uint8Array<ArrayBuffer>;
}

/** The two files of a PEFT folder in memory. Faults: file_missing, file_malformed, model_unsupported for pickle files. */
export async function readDeltaFiles(directory: string, base: BaseInfo, limits: DeltaLimits) {
  const config = await readWholeFile(path.join(directory, CONFIG_FILE), limits.configBytesMax, limits.links);
  const content = await readWeights(directory, Math.min(limits.weightsBytesMax, weightsBytesPossible(base, limits)), limits.links);
  return { config, content, configSha256: sha256Hex(config), weightsSha256: sha256Hex(content) };
}

/** Checks the files against each other and the base. Faults: file_malformed, model_unsupported, delta_base_mismatch. */
export function checkDeltaFiles(files: Awaited<ReturnType<typeof readDeltaFiles>>, base: BaseInfo, limits: DeltaLimits): DeltaFolder {
  const targets = selectTargets(parsePeftConfig(files.config), base.linears);
  const high = targets.find(({ rank }) => rank > limits.rankMax);
  if (high) {
    const why = `rank ${high.rank} at ${high.linear.module} is more than the ${limits.rankMax} accepted`;
    throw fileFault("file_malformed", CONFIG_FILE, `r: ${why}`, { field: "r" });
  }
  const { tensors } = parseSafetensors(files.content, WEIGHTS_FILE, limits.header);
  return { ...files, pairs: pairTensors(tensors, targets, base.linears) };
}

async function readWeights(directory: string, sizeBytesMax: Bytes, links: Links): Promise<Buffer<ArrayBuffer>> {
  try {
    return await readWholeFile(path.join(directory, WEIGHTS_FILE), sizeBytesMax, links);
  } catch (error) {
    if (!isFault(error, "file_missing")) throw error;
    const pickle = "adapter_model.bin";
    const hasPickle = await access(path.join(directory, pickle)).then(
      () => true,
      () => false,
    );
    if (hasPickle) throw fileFault("model_unsupported", pickle, "a pickle file can run code and is never read; save it as safetensors");
    throw error;
  }
}

/** The largest file that any delta of this base can have: float32, the highest rank, every linear. */
function weightsBytesPossible(base: BaseInfo, limits: DeltaLimits): Bytes {
  const widths = base.linears.reduce((sum, { inputSize, outputSize }) => sum + inputSize + outputSize, 0);
  return 8 + limits.header.headerBytesMax + widths * limits.rankMax * Float32Array.BYTES_PER_ELEMENT;
}
