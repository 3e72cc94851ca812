import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { mkdir, open, readdir, rename, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { assert, type Bytes, Fault, KIB, type Millis, NAME_PATTERN } from "#kernel";
import { StagedFile } from "../blobs/index.ts";
import type { FileRecord } from "../catalog/index.ts";

/** Which file: `<directory>/<tenant>/<id>`. What a client calls it is never part of a path. */
export type FilePlace = Pick<FileRecord, "tenantId" | "id">;

/** A file on its way in. Dispose it to drop what was not kept. */
export interface IncomingFile extends AsyncDisposable {
  readonly sizeBytes: Bytes;
  /** @throws Fault message_too_large */
  append(bytes: Uint8Array): Promise<void>;
  /** Makes it durable; gives its SHA-256, hex. */
  finish(): Promise<string>;
  /** Makes it the content of a place, which was free. */
  keep(place: FilePlace): Promise<void>;
}

/** The bytes of tenants' files, written once and never changed. */
export interface FileBytes {
  receive(sizeBytesMax: Bytes): Promise<IncomingFile>;
  /** In pieces. @throws Fault resource_unknown when they are not here, checksum_mismatch before the last piece of what is not what was stored */
  read(file: FilePlace & Pick<FileRecord, "sha256" | "sizeBytes">, signal: AbortSignal): AsyncGenerator<Uint8Array>;
  /** Idempotent. */
  remove(place: FilePlace): Promise<void>;
  /** Removes what nobody has written to since `before` and nobody knows: uploads that a crash cut, or that it left without a record. */
  removeUnknown(known: (id: string) => boolean, before: Millis): Promise<void>;
}

const ID_PATTERN = /^file-[0-9a-f]{24}$/;
/** No tenant may be called so: names do not begin with a dot. */
const INCOMING = ".incoming";
const READ_BYTES: Bytes = 256 * KIB;

/** Opens the folder. `newName` gives names that were never given. */
export async function openFileBytes(directory: string, newName: () => string): Promise<FileBytes> {
  await mkdir(join(directory, INCOMING), { recursive: true });
  return {
    receive: (sizeBytesMax) => receive(directory, join(directory, INCOMING, newName()), sizeBytesMax),
    read: (file, signal) => read(pathOf(directory, file), file, signal),
    remove: (place) => rm(pathOf(directory, place), { force: true }),
    async removeUnknown(known, before) {
      const removeOld = async (path: string) => {
        const written = await stat(path).catch(() => undefined); // Gone meanwhile: another router has been here.
        if (written && written.mtimeMs < before) await rm(path, { force: true });
      };
      for (const name of await readdir(join(directory, INCOMING))) await removeOld(join(directory, INCOMING, name));
      for (const tenant of await namesIn(directory, NAME_PATTERN)) {
        const ids = await namesIn(join(directory, tenant), ID_PATTERN);
        for (const id of ids.filter((each) => !known(each))) await removeOld(join(directory, tenant, id));
      }
    },
  };
}

async function receive(directory: string, incoming: string, sizeBytesMax: Bytes): Promise<IncomingFile> {
  const staged = await StagedFile.create(incoming, sizeBytesMax);
  return {
    get sizeBytes() {
      return staged.sizeBytes;
    },
    append: (bytes) => staged.append(bytes),
    finish: () => staged.finish(),
    async keep(place) {
      const path = pathOf(directory, place);
      await mkdir(join(directory, place.tenantId), { recursive: true });
      await rename(incoming, path);
      for (const folder of [join(directory, place.tenantId), directory]) await syncFolder(folder);
    },
    async [Symbol.asyncDispose]() {
      await staged[Symbol.asyncDispose]();
      await rm(incoming, { force: true });
    },
  };
}

/** One piece behind, so that a reader never has the whole of what is not what was stored. */
async function* read(
  path: string,
  { id, sha256, sizeBytes }: FilePlace & Pick<FileRecord, "sha256" | "sizeBytes">,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array> {
  const hash = createHash("sha256");
  let readBytes: Bytes = 0;
  let last: Buffer | undefined;
  try {
    for await (const piece of createReadStream(path, { highWaterMark: READ_BYTES, signal }) as AsyncIterable<Buffer>) {
      if (last) yield last;
      last = piece;
      hash.update(piece);
      readBytes += piece.length;
    }
  } catch (error) {
    signal.throwIfAborted();
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
    throw new Fault("resource_unknown", `the bytes of ${id} are not with this router`, { detail: { resource: id } });
  }
  if (readBytes !== sizeBytes || hash.digest("hex") !== sha256) {
    throw new Fault("checksum_mismatch", `the bytes of ${id} are not what was stored`, { detail: { resource: id } });
  }
  if (last) yield last;
}

function pathOf(directory: string, { tenantId, id }: FilePlace): string {
  assert(
    NAME_PATTERN.test(tenantId) && ID_PATTERN.test(id),
    "tenants and files have safe names, or these would be paths of somebody's choice",
  );
  return join(directory, tenantId, id);
}

async function namesIn(folder: string, pattern: RegExp): Promise<readonly string[]> {
  return (await readdir(folder)).filter((name) => pattern.test(name));
}

/** Makes the names in a folder durable, not only the files. */
async function syncFolder(path: string): Promise<void> {
  await using folder = await open(path, "r");
  await folder.sync();
}
