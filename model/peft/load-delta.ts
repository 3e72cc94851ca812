import { type Bytes, deltaDigest, Fault } from "#kernel";
import type { BaseInfo } from "../base.ts";
import type { DeltaLayer, DeltaReference, LoadedDelta } from "../delta.ts";
import { checkDeltaFiles, DELTA_LIMITS, type DeltaFolder, type DeltaLimits, readDeltaFiles } from "./delta-folder.ts";
import { WEIGHTS_FILE } from "./delta-tensors.ts";
import { layerValues } from "./delta-values.ts";

/**
 * Loads a PEFT folder (LoRA or rsLoRA) as the engine wants it. Everything is checked before anything is returned; the
 * files must be those that `reference.digest` was computed from, unless `verify` is false. The arrays share buffers among
 * themselves and with nobody else, to be transferred between threads together.
 *
 * Faults: delta_base_mismatch, checksum_mismatch, file_missing, file_malformed, weights_not_finite, model_unsupported.
 */
export async function loadDelta(
  directory: string,
  reference: DeltaReference,
  base: BaseInfo,
  options: { readonly limits?: Partial<DeltaLimits>; readonly verify?: boolean } = {},
): Promise<LoadedDelta> {
  if (reference.baseDigest !== base.digest) {
    throw new Fault("delta_base_mismatch", `the delta was made for base ${reference.baseDigest}, not for ${base.name} (${base.digest})`);
  }
  const limits = { ...DELTA_LIMITS, ...options.limits };
  const files = await readDeltaFiles(directory, base, limits);
  if (options.verify !== false && deltaDigest({ ...reference, ...files }) !== reference.digest) {
    throw new Fault("checksum_mismatch", `${WEIGHTS_FILE} or its configuration is not what the digest of the delta says`, {
      detail: { file: WEIGHTS_FILE },
    });
  }
  const folder = checkDeltaFiles(files, base, limits);
  const layers = [...layerValues(folder.pairs, folder.content)];
  return { reference, rank: rankOf(folder), sizeBytes: layers.reduce((sum, layer) => sum + layerBytes(layer), 0), layers };
}

/** What a PEFT folder is, without its weights. */
export interface DeltaInspection {
  /** The largest rank of any layer. */
  readonly rank: number;
  /** Once loaded, in float32. */
  readonly sizeBytes: Bytes;
  /** In the order of computation. */
  readonly sites: readonly string[];
  /** Of the files as they are, for `deltaDigest`. */
  readonly configSha256: string;
  readonly weightsSha256: string;
}

/** Checks a PEFT folder exactly as {@link loadDelta} does, value by value, and keeps nothing of its weights. Same faults. */
export async function inspectDelta(
  directory: string,
  base: BaseInfo,
  options: { readonly limits?: Partial<DeltaLimits> } = {},
): Promise<DeltaInspection> {
  const limits = { ...DELTA_LIMITS, ...options.limits };
  const folder = checkDeltaFiles(await readDeltaFiles(directory, base, limits), base, limits);
  const { configSha256, weightsSha256 } = folder;
  let sizeBytes = 0;
  for (const layer of layerValues(folder.pairs, folder.content)) sizeBytes += layerBytes(layer);
  return { rank: rankOf(folder), sizeBytes, sites: folder.pairs.map(({ target }) => target.linear.site), configSha256, weightsSha256 };
}

function rankOf(folder: DeltaFolder): number {
  return Math.max(...folder.pairs.map(({ target }) => target.rank));
}

function layerBytes({ a, b }: DeltaLayer): Bytes {
  return a.byteLength + b.byteLength;
}
