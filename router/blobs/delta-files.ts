import { createHash } from "node:crypto";
import type { BlobStore, IncomingBlob } from "#blobs";
import {
  assert,
  type BaseDigest,
  type Bytes,
  type DeltaDigest,
  DIGEST_PATTERN,
  deltaDigest,
  Fault,
  GIB,
  KIB,
  type TenantId,
} from "#kernel";

/** The two files of a delta, by the part of the upload they come in. */
const FILE_NAMES = { config: "adapter_config.json", weights: "adapter_model.safetensors" } as const;
export type DeltaFile = keyof typeof FILE_NAMES;

/** A piece of an upload or a download. */
export interface DeltaPiece {
  readonly file: DeltaFile;
  readonly bytes: Uint8Array;
}

export type DeltaFileLimits = Readonly<Record<DeltaFile, Bytes>>;

/** A configuration is a page of JSON. Rank 512 on all linears of an 8 B model, in float32, is 1.3 GiB. */
const DELTA_FILE_LIMITS: DeltaFileLimits = { config: 256 * KIB, weights: 2 * GIB };

/** What a delta's digest is made of, besides its files. */
export interface StoredDelta {
  readonly digest: DeltaDigest;
  readonly tenantId: TenantId;
  readonly baseDigest: BaseDigest;
}

/** Both files of an upload, complete and hashed, but not yet anybody's. Dispose it to drop what was not kept. */
export interface StagedDelta extends AsyncDisposable {
  /** Hex. */
  readonly configSha256: string;
  readonly weightsSha256: string;
  readonly sizeBytes: Bytes;
  /** Makes it the content of `digest`. What is there already is the same, or was left half by a crash. */
  keep(digest: DeltaDigest): Promise<void>;
}

/** The deltas' files as they were uploaded, `deltas/<digest>/…`, written once and never changed: the name says the content. */
export interface DeltaFiles {
  /** Takes an upload in. On any failure nothing of it stays. @throws Fault message_too_large or file_missing, naming the file */
  receive(pieces: AsyncIterable<DeltaPiece>): Promise<StagedDelta>;
  has(digest: DeltaDigest): Promise<boolean>;
  /** Both files in pieces. @throws Fault resource_unknown; checksum_mismatch before the last piece of what is not what the digest says */
  read(delta: StoredDelta, signal: AbortSignal): AsyncGenerator<DeltaPiece>;
  /** Idempotent. */
  remove(digest: DeltaDigest): Promise<void>;
}

export function createDeltaFiles(blobs: BlobStore, limits: DeltaFileLimits = DELTA_FILE_LIMITS): DeltaFiles {
  return {
    has: async (digest) => (await blobs.find(nameOf(digest, "config"))) !== undefined,
    receive: (pieces) => stage(blobs, limits, pieces),
    read: (delta, signal) => read(blobs, delta, signal),
    async remove(digest) {
      // In the other order of keeping: what has no configuration is not there.
      await blobs.remove(nameOf(digest, "config"));
      await blobs.remove(nameOf(digest, "weights"));
    },
  };
}

async function stage(blobs: BlobStore, limits: DeltaFileLimits, pieces: AsyncIterable<DeltaPiece>): Promise<StagedDelta> {
  await using staging = new AsyncDisposableStack();
  const receive = async (file: DeltaFile) => staging.use(await blobs.receive(FILE_NAMES[file], limits[file]));
  const files: Record<DeltaFile, IncomingBlob> = { config: await receive("config"), weights: await receive("weights") };
  for await (const { file, bytes } of pieces) await files[file].append(bytes);
  const { config, weights } = files;
  const configSha256 = await config.finish();
  const weightsSha256 = await weights.finish();
  const staged = staging.move();
  return {
    ...{ configSha256, weightsSha256, sizeBytes: config.sizeBytes + weights.sizeBytes },
    async keep(digest) {
      // The configuration last: with it, all is there.
      await weights.keep(nameOf(digest, "weights"));
      await config.keep(nameOf(digest, "config"));
    },
    [Symbol.asyncDispose]: () => staged.disposeAsync(),
  };
}

/** One piece behind, so that nobody ever has the whole of what is not what its digest says. */
async function* read(blobs: BlobStore, { digest, tenantId, baseDigest }: StoredDelta, signal: AbortSignal): AsyncGenerator<DeltaPiece> {
  const hashes = { config: createHash("sha256"), weights: createHash("sha256") };
  let last: DeltaPiece | undefined;
  for (const file of ["config", "weights"] as const) {
    for await (const bytes of readFile(blobs, digest, file, signal)) {
      if (last) yield last;
      last = { file, bytes };
      hashes[file].update(bytes);
    }
  }
  const [configSha256, weightsSha256] = [hashes.config.digest("hex"), hashes.weights.digest("hex")];
  if (deltaDigest({ tenantId, baseDigest, configSha256, weightsSha256 }) !== digest) {
    throw new Fault("checksum_mismatch", `the files of the delta ${digest} are not what was uploaded`, { detail: { resource: digest } });
  }
  if (last) yield last;
}

async function* readFile(blobs: BlobStore, digest: DeltaDigest, file: DeltaFile, signal: AbortSignal): AsyncGenerator<Uint8Array> {
  try {
    yield* blobs.read(nameOf(digest, file), undefined, signal); // Checked as a whole, by the delta's digest.
  } catch (error) {
    if (!(error instanceof Fault && error.reason === "resource_unknown")) throw error;
    throw new Fault("resource_unknown", `the delta ${digest} is not here`, { detail: { resource: digest } });
  }
}

function nameOf(digest: DeltaDigest, file: DeltaFile): string {
  assert(DIGEST_PATTERN.test(digest), "a digest is 64 hexadecimal digits, or it would be a name of somebody's choice");
  return `deltas/${digest}/${FILE_NAMES[file]}`;
}
