import { createReadStream, type Dirent } from "node:fs";
import { mkdir, open, readdir, rename, rm, rmdir, stat } from "node:fs/promises";
import { dirname, join, relative, resolve, sep } from "node:path";
import { type Bytes, Fault, KIB } from "#kernel";
import { checkBlobName, checkBlobPrefix } from "../blob-name.ts";
import { type BlobFacts, type BlobObserver, type BlobStore, type IncomingBlob, type StoredBlob, UNOBSERVED } from "../contract.ts";
import { StagedFile } from "../staged-file.ts";
import { verifiedPieces } from "../verified-pieces.ts";

/** No blob is called so: names do not begin with a dot. On the same file system as all else, so that a rename is atomic. */
const INCOMING = ".incoming";
const READ_BYTES: Bytes = 256 * KIB;
const MOVE_TRIES_MAX = 5;

export interface FolderStoreDeps {
  /** Gives names that were never given. */
  readonly newName: () => string;
  readonly observer?: BlobObserver;
}

/** Blobs as files: a local folder, or a volume that several routers mount. Made when it is not there. */
export async function openFolderStore(deps: FolderStoreDeps, folder: string): Promise<BlobStore> {
  const directory = resolve(folder);
  await mkdir(join(directory, INCOMING), { recursive: true });
  const observer = deps.observer ?? UNOBSERVED;
  const pathOf = (name: string) => {
    checkBlobName(name);
    return join(directory, name);
  };
  return {
    url: `file:${directory}`,
    receive: (label, sizeBytesMax) => receive(directory, join(directory, INCOMING, deps.newName()), label, sizeBytesMax, observer),
    find: (name) => factsOf(pathOf(name)),
    async *read(name, expected, signal) {
      const path = pathOf(name);
      for await (const piece of verifiedPieces(name, expected, readFile(name, path, 0, signal))) {
        observer.moved("out", piece.byteLength);
        yield piece;
        signal.throwIfAborted(); // What was read already would come to its end all the same.
      }
    },
    readFrom: (name, startBytes, signal) => readFile(name, pathOf(name), startBytes, signal),
    remove: async (name) => remove(directory, pathOf(name)),
    async *list(prefix) {
      checkBlobPrefix(prefix);
      yield* filesIn(directory, join(directory, prefix));
    },
    async removeUnfinished(before) {
      for (const name of await readdir(join(directory, INCOMING))) {
        const path = join(directory, INCOMING, name);
        const facts = await factsOf(path);
        if (facts && facts.writtenAt < before) await rm(path, { force: true });
      }
    },
    [Symbol.asyncDispose]: async () => undefined, // Nothing is open.
  };
}

async function receive(
  directory: string,
  incoming: string,
  label: string,
  sizeBytesMax: Bytes,
  observer: BlobObserver,
): Promise<IncomingBlob> {
  await mkdir(dirname(incoming), { recursive: true });
  const staged = await StagedFile.create(incoming, label, sizeBytesMax);
  return {
    get sizeBytes() {
      return staged.sizeBytes;
    },
    append: (bytes) => staged.append(bytes),
    finish: () => staged.finish(),
    async keep(name, signal) {
      checkBlobName(name);
      await staged.finish();
      signal?.throwIfAborted();
      await moveInto(directory, incoming, name);
      observer.moved("in", staged.sizeBytes);
    },
    async [Symbol.asyncDispose]() {
      await staged[Symbol.asyncDispose]();
      await rm(incoming, { force: true });
    },
  };
}

/** Durable when it resolves: the entries of all folders on the way are, not only the file. */
async function moveInto(directory: string, incoming: string, name: string): Promise<void> {
  const path = join(directory, name);
  for (let tries = 1; ; tries++) {
    await mkdir(dirname(path), { recursive: true });
    try {
      await rename(incoming, path);
      break;
    } catch (error) {
      // Somebody removed the last other blob of the folder, and the folder with it.
      if (!isMissing(error) || tries === MOVE_TRIES_MAX) throw error;
    }
  }
  for (let folder = dirname(path); ; folder = dirname(folder)) {
    await syncFolder(folder);
    if (folder === directory) return;
  }
}

/** Makes the names in a folder durable, not only the files. */
async function syncFolder(path: string): Promise<void> {
  await using folder = await open(path, "r");
  await folder.sync();
}

async function factsOf(path: string): Promise<BlobFacts | undefined> {
  try {
    const { size, mtimeMs } = await stat(path);
    return { sizeBytes: size, writtenAt: mtimeMs };
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw error;
  }
}

async function* readFile(name: string, path: string, start: Bytes, signal: AbortSignal): AsyncGenerator<Uint8Array> {
  try {
    yield* createReadStream(path, { start, highWaterMark: READ_BYTES, signal }) as AsyncIterable<Buffer>;
  } catch (error) {
    signal.throwIfAborted();
    if (isMissing(error)) throw new Fault("resource_unknown", `there is no ${name}`, { detail: { resource: name } });
    throw error;
  }
}

/** Removes the file, and the folders that are empty without it. */
async function remove(directory: string, path: string): Promise<void> {
  await rm(path, { force: true });
  for (let folder = dirname(path); folder !== directory; folder = dirname(folder)) {
    const emptied = await rmdir(folder).then(
      () => true,
      () => false, // Not empty, or gone already.
    );
    if (!emptied) return;
  }
}

async function* filesIn(directory: string, folder: string): AsyncGenerator<StoredBlob> {
  for (const entry of await entriesOf(folder)) {
    const path = join(folder, entry.name);
    if (entry.name.startsWith(".")) continue;
    if (entry.isDirectory()) yield* filesIn(directory, path);
    else {
      const facts = await factsOf(path);
      if (facts) yield { name: relative(directory, path).split(sep).join("/"), ...facts };
    }
  }
}

async function entriesOf(folder: string): Promise<readonly Dirent[]> {
  try {
    return await readdir(folder, { withFileTypes: true });
  } catch (error) {
    if (isMissing(error)) return [];
    throw error;
  }
}

function isMissing(error: unknown): boolean {
  const { code } = error as NodeJS.ErrnoException;
  return code === "ENOENT" || code === "ENOTDIR";
}
