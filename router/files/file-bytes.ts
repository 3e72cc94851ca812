import type { BlobStore, IncomingBlob } from "#blobs";
import { assert, type Bytes, Fault, NAME_PATTERN } from "#kernel";
import type { FileRecord } from "../catalog/index.ts";

/** Which file: `files/<tenant>/<id>`. What a client calls it is never part of a name. */
export type FilePlace = Pick<FileRecord, "tenantId" | "id">;

/** A file on its way in. Dispose it to drop what was not kept. */
export interface IncomingFile extends AsyncDisposable {
  readonly sizeBytes: Bytes;
  /** @throws Fault message_too_large */
  append(bytes: Uint8Array): Promise<void>;
  /** Gives its SHA-256, hex. */
  finish(): Promise<string>;
  /** Makes it the content of a place, which was free; durable when it resolves. */
  keep(place: FilePlace): Promise<void>;
}

/** The bytes of tenants' files, written once and never changed. */
export interface FileBytes {
  receive(sizeBytesMax: Bytes): Promise<IncomingFile>;
  /** In pieces. @throws Fault resource_unknown when they are not here, checksum_mismatch before the last piece of what is not what was stored */
  read(file: FilePlace & Pick<FileRecord, "sha256" | "sizeBytes">, signal: AbortSignal): AsyncGenerator<Uint8Array>;
  /** Idempotent. */
  remove(place: FilePlace): Promise<void>;
}

const ID_PATTERN = /^file-[0-9a-f]{24}$/;

export function createFileBytes(blobs: BlobStore): FileBytes {
  return {
    receive: async (sizeBytesMax) => incomingFile(await blobs.receive("file", sizeBytesMax)),
    async *read(file, signal) {
      try {
        yield* blobs.read(nameOf(file), file, signal);
      } catch (error) {
        if (!(error instanceof Fault && error.reason === "resource_unknown")) throw error;
        throw new Fault("resource_unknown", `the bytes of ${file.id} are not with this router`, { detail: { resource: file.id } });
      }
    },
    remove: (place) => blobs.remove(nameOf(place)),
  };
}

function incomingFile(blob: IncomingBlob): IncomingFile {
  return {
    get sizeBytes() {
      return blob.sizeBytes;
    },
    append: (bytes) => blob.append(bytes),
    finish: () => blob.finish(),
    keep: (place) => blob.keep(nameOf(place)),
    [Symbol.asyncDispose]: () => blob[Symbol.asyncDispose](),
  };
}

function nameOf({ tenantId, id }: FilePlace): string {
  assert(
    NAME_PATTERN.test(tenantId) && ID_PATTERN.test(id),
    "tenants and files have safe names, or these would be names of somebody's choice",
  );
  return `files/${tenantId}/${id}`;
}
