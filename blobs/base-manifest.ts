import { z } from "zod";
import { type Bytes, DIGEST_PATTERN, Fault, MIB, shapeWords } from "#kernel";
import { isBlobName } from "./blob-name.ts";
import type { BlobStore, IncomingBlob } from "./contract.ts";

/** Beside a base's files, written last: a base without it is not there yet, or was put there by other means. */
export const MANIFEST_NAME = "deltaplane-base.json";

const MANIFEST_BYTES_MAX: Bytes = MIB;
/** Shards of weights, tokenizer and configurations; more is no base. */
const FILES_MAX = 1024;

const Manifest = z.object({
  files: z
    .array(
      z.object({
        name: z.string().refine(isBlobName, "is no file name"),
        sizeBytes: z.number().int().min(1),
        sha256: z.string().regex(DIGEST_PATTERN),
      }),
    )
    .min(1)
    .max(FILES_MAX),
});

export interface BaseFile {
  /** Within the base's folder. */
  readonly name: string;
  readonly sizeBytes: Bytes;
  /** Undefined for a base that was put there by other means than ours. */
  readonly sha256: string | undefined;
}

/** The files of the base under `prefix`. @throws Fault file_missing when there are none, file_malformed */
export async function readBaseFiles(store: BlobStore, prefix: string, signal: AbortSignal): Promise<readonly BaseFile[]> {
  const manifest = await store.find(`${prefix}${MANIFEST_NAME}`, signal);
  if (manifest) return await readManifest(store, prefix, manifest.sizeBytes, signal);
  const files: BaseFile[] = [];
  for await (const { name, sizeBytes } of store.list(prefix, signal)) {
    if (files.length === FILES_MAX) throw new Fault("file_malformed", `there are more than ${FILES_MAX} files under ${store.url}${prefix}`);
    if (sizeBytes > 0) files.push({ name: name.slice(prefix.length), sizeBytes, sha256: undefined });
  }
  if (files.length === 0) throw new Fault("file_missing", `there is no base under ${store.url}${prefix}`);
  return files;
}

async function readManifest(store: BlobStore, prefix: string, sizeBytes: Bytes, signal: AbortSignal): Promise<readonly BaseFile[]> {
  const name = `${prefix}${MANIFEST_NAME}`;
  if (sizeBytes > MANIFEST_BYTES_MAX) throw malformed(name, `it has ${sizeBytes} bytes`);
  const text = Buffer.concat(await Array.fromAsync(store.read(name, undefined, signal))).toString();
  try {
    return Manifest.parse(JSON.parse(text), { error: shapeWords }).files;
  } catch (cause) {
    throw malformed(
      name,
      cause instanceof z.ZodError ? `${cause.issues[0]!.path.join(".")} ${cause.issues[0]!.message}` : "it is no JSON",
      cause,
    );
  }
}

/** Puts a base's files under `prefix`, the manifest last. */
export async function writeBase(
  store: BlobStore,
  prefix: string,
  files: readonly { readonly name: string; readonly pieces: () => AsyncIterable<Uint8Array> }[],
  signal: AbortSignal,
): Promise<readonly BaseFile[]> {
  const written: BaseFile[] = [];
  for (const { name, pieces } of files) {
    await using incoming = await store.receive(name, Number.MAX_SAFE_INTEGER);
    for await (const piece of pieces()) {
      signal.throwIfAborted();
      await incoming.append(piece);
    }
    written.push({ name, ...(await keep(incoming, `${prefix}${name}`, signal)) });
  }
  await using manifest = await store.receive(MANIFEST_NAME, MANIFEST_BYTES_MAX);
  await manifest.append(Buffer.from(JSON.stringify({ files: written }, null, JSON_INDENT)));
  await keep(manifest, `${prefix}${MANIFEST_NAME}`, signal);
  return written;
}

const JSON_INDENT = 2;

async function keep(incoming: IncomingBlob, name: string, signal: AbortSignal): Promise<{ sha256: string; sizeBytes: Bytes }> {
  const sha256 = await incoming.finish();
  await incoming.keep(name, signal);
  return { sha256, sizeBytes: incoming.sizeBytes };
}

function malformed(name: string, why: string, cause?: unknown): Fault {
  return new Fault("file_malformed", `${name} is no manifest of a base: ${why}`, { detail: { file: name }, cause });
}
