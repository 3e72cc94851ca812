import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { access, mkdir, open, rename, rm, stat } from "node:fs/promises";
import { dirname, join } from "node:path";
import { type Bytes, type Log, sha256Hex } from "#kernel";
import { type BaseFile, readBaseFiles } from "./base-manifest.ts";
import type { BlobStore } from "./contract.ts";
import { orNoRoom } from "./disk-room.ts";
import { mapAtMost } from "./map-at-most.ts";
import { orAborted } from "./or-aborted.ts";
import { notWhatWasStored } from "./verified-pieces.ts";

export interface BaseFoldersDeps {
  readonly log: Log;
  /** Opens the store whose root is the base. */
  readonly openStore: (url: string) => Promise<BlobStore>;
}

/** Where bases lie on this machine. */
export interface BaseFolders extends AsyncDisposable {
  /**
   * The folder of a base: itself when the location is one already (also an image volume that is mounted), else its copy in
   * the cache, fetched once however many ask. What an earlier life fetched is gone on with.
   * @throws Fault blobs_unavailable, file_missing, file_malformed, checksum_mismatch
   */
  open(location: string, signal?: AbortSignal): Promise<string>;
}

/** Shards are large: two keep a line busy while one is hashed. */
const FILES_AT_ONCE = 2;
const NAME_CHARACTERS = 16;

export function openBaseFolders(deps: BaseFoldersDeps, cacheDirectory: string): BaseFolders {
  const closing = new AbortController();
  const fetching = new Map<string, Promise<string>>();
  const shared = (location: string): Promise<string> => {
    const known = fetching.get(location);
    if (known) return known;
    const fetched = fetchBase(deps, location, cacheDirectory, closing.signal);
    fetching.set(location, fetched);
    fetched.catch(() => fetching.delete(location)); // Who asks next tries again.
    return fetched;
  };
  return {
    async open(location, signal) {
      if (!location.startsWith("s3:")) return location.startsWith("file:") ? location.slice("file:".length) : location;
      return signal ? await orAborted(shared(location), signal) : await shared(location);
    },
    async [Symbol.asyncDispose]() {
      closing.abort();
      await Promise.allSettled(fetching.values());
    },
  };
}

/** Downloads into a folder beside the final one; renamed when all of it is there and is what it should be. */
async function fetchBase({ openStore, log }: BaseFoldersDeps, url: string, cacheDirectory: string, signal: AbortSignal): Promise<string> {
  const directory = join(cacheDirectory, sha256Hex(url).slice(0, NAME_CHARACTERS));
  if (await exists(directory)) return directory;
  const incoming = `${directory}.incoming`;
  await using store = await openStore(url);
  const files = await readBaseFiles(store, "", signal);
  const sizeBytes = files.reduce((sum, file) => sum + file.sizeBytes, 0);
  log.info({ base: store.url, files: files.length, sizeBytes }, "fetching a base");
  if (files.some((file) => file.sha256 === undefined))
    log.warn({ base: store.url }, "the base has no manifest: the sizes of its files are checked, their content is not");
  await mapAtMost(FILES_AT_ONCE, files, (file) => fetchFile(store, file, join(incoming, file.name), signal));
  await rename(incoming, directory);
  await using folder = await open(cacheDirectory, "r");
  await folder.sync();
  log.info({ base: store.url, directory }, "a base is fetched");
  return directory;
}

async function fetchFile(store: BlobStore, file: BaseFile, path: string, signal: AbortSignal): Promise<void> {
  await mkdir(dirname(path), { recursive: true });
  // Without a hash nobody would notice that the beginning is of an older version.
  if (file.sha256 === undefined) await rm(path, { force: true });
  const resumed = await sizeOf(path);
  if (await fetchRest(store, file, path, resumed, signal)) return;
  await rm(path, { force: true });
  // What an earlier life left may be what was wrong; what was fetched whole is not.
  if (resumed > 0 && (await fetchRest(store, file, path, 0, signal))) return;
  await rm(path, { force: true });
  throw notWhatWasStored(file.name);
}

/** Whether the whole is what it should be. */
async function fetchRest(store: BlobStore, file: BaseFile, path: string, startBytes: Bytes, signal: AbortSignal): Promise<boolean> {
  if (startBytes > file.sizeBytes) return false;
  const hash = createHash("sha256");
  if (startBytes > 0) for await (const piece of createReadStream(path, { signal })) hash.update(piece as Buffer);
  let sizeBytes = startBytes;
  await using handle = await open(path, "a");
  if (startBytes < file.sizeBytes) {
    for await (const piece of store.readFrom(file.name, startBytes, signal)) {
      sizeBytes += piece.byteLength;
      if (sizeBytes > file.sizeBytes) return false;
      hash.update(piece);
      await orNoRoom(file.name, handle.appendFile(piece));
    }
  }
  await orNoRoom(file.name, handle.sync());
  return sizeBytes === file.sizeBytes && (file.sha256 === undefined || hash.digest("hex") === file.sha256);
}

async function sizeOf(path: string): Promise<Bytes> {
  return await stat(path).then(
    ({ size }) => size,
    () => 0, // Not begun.
  );
}

async function exists(path: string): Promise<boolean> {
  return await access(path).then(
    () => true,
    () => false, // Not fetched yet.
  );
}
