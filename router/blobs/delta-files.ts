import { createReadStream } from "node:fs";
import { access, mkdir, open, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { assert, type Bytes, type DeltaDigest, DIGEST_PATTERN, Fault, GIB, KIB, MIB } from "#kernel";
import type { RandomSecret } from "../keys/index.ts";
import { StagedFile } from "./staged-file.ts";

/** The two files of a delta, by the part of the upload they come in. */
export const FILE_NAMES = { config: "adapter_config.json", weights: "adapter_model.safetensors" } as const;
export type DeltaFile = keyof typeof FILE_NAMES;

/** A piece of an upload or a download. */
export interface DeltaPiece {
  readonly file: DeltaFile;
  readonly bytes: Uint8Array;
}

export type DeltaFileLimits = Readonly<Record<DeltaFile, Bytes>>;

/** A configuration is a page of JSON. Rank 512 on all linears of an 8 B model, in float32, is 1.3 GiB. */
export const DELTA_FILE_LIMITS: DeltaFileLimits = { config: 256 * KIB, weights: 2 * GIB };

/** Well below the wire's 4 MiB, large enough that the cost per piece does not count. */
const DOWNLOAD_PIECE_BYTES: Bytes = MIB;
const INCOMING = "incoming";

/** Both files of an upload, complete on disk and hashed, but not yet anybody's. Dispose it to drop what was not kept. */
export interface StagedDelta extends AsyncDisposable {
  /** Hex. */
  readonly configSha256: string;
  readonly weightsSha256: string;
  readonly sizeBytes: Bytes;
  /** Makes it the content of `digest`; content that is there already stays. */
  keep(digest: DeltaDigest): Promise<void>;
}

/** The deltas' files as they were uploaded, `<directory>/<digest>/…`, written once and never changed. */
export interface DeltaFiles {
  /** Takes an upload in. On any failure nothing of it stays. @throws Fault message_too_large or file_missing, naming the file */
  receive(pieces: AsyncIterable<DeltaPiece>): Promise<StagedDelta>;
  has(digest: DeltaDigest): Promise<boolean>;
  /** Both files in pieces of at most 1 MiB. @throws Fault resource_unknown */
  read(digest: DeltaDigest, signal: AbortSignal): AsyncIterable<DeltaPiece>;
  /** Idempotent. */
  remove(digest: DeltaDigest): Promise<void>;
}

/** Opens the folder, and clears away uploads that a crash left unfinished. */
export async function openDeltaFiles(
  deps: { readonly randomSecret: RandomSecret },
  options: { readonly directory: string; readonly limits?: DeltaFileLimits },
): Promise<DeltaFiles> {
  const { directory } = options;
  const limits = options.limits ?? DELTA_FILE_LIMITS;
  await rm(join(directory, INCOMING), { recursive: true, force: true });
  await mkdir(join(directory, INCOMING), { recursive: true });

  const folderOf = (digest: DeltaDigest) => {
    assert(DIGEST_PATTERN.test(digest), "a digest is 64 hexadecimal digits, or it would be a path of somebody's choice");
    return join(directory, digest);
  };
  const has = (digest: DeltaDigest) =>
    access(folderOf(digest)).then(
      () => true,
      () => false, // Not there, or not ours to read: either way we do not have it.
    );

  return {
    has,
    async receive(pieces) {
      const incoming = join(directory, INCOMING, deps.randomSecret(16).toString("hex"));
      await mkdir(incoming);
      try {
        return await stage(incoming, limits, pieces, async (digest) => {
          if (await has(digest)) return;
          await rename(incoming, folderOf(digest));
          await syncFolder(directory);
        });
      } catch (error) {
        await rm(incoming, { recursive: true, force: true });
        throw error;
      }
    },
    async *read(digest, signal) {
      if (!(await has(digest))) throw new Fault("resource_unknown", `the delta ${digest} is not here`, { detail: { resource: digest } });
      for (const file of ["config", "weights"] as const) {
        const path = join(folderOf(digest), FILE_NAMES[file]);
        for await (const bytes of createReadStream(path, { highWaterMark: DOWNLOAD_PIECE_BYTES, signal })) yield { file, bytes };
      }
    },
    async remove(digest) {
      await rm(folderOf(digest), { recursive: true, force: true });
    },
  };
}

async function stage(
  incoming: string,
  limits: DeltaFileLimits,
  pieces: AsyncIterable<DeltaPiece>,
  keep: (digest: DeltaDigest) => Promise<void>,
): Promise<StagedDelta> {
  await using config = await StagedFile.create(join(incoming, FILE_NAMES.config), limits.config);
  await using weights = await StagedFile.create(join(incoming, FILE_NAMES.weights), limits.weights);
  const files = { config, weights };
  for await (const { file, bytes } of pieces) await files[file].append(bytes);
  const configSha256 = await config.finish();
  const weightsSha256 = await weights.finish();
  await syncFolder(incoming);
  return {
    configSha256,
    weightsSha256,
    sizeBytes: config.sizeBytes + weights.sizeBytes,
    keep,
    [Symbol.asyncDispose]: () => rm(incoming, { recursive: true, force: true }),
  };
}

/** Makes the names in a folder durable, not only the files. */
async function syncFolder(path: string): Promise<void> {
  await using folder = await open(path, "r");
  await folder.sync();
}
