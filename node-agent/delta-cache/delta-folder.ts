import { mkdir, readdir, readFile, rename, rm, stat, utimes, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import { asBaseDigest, asDeltaDigest, asTenantId, type Bytes, DIGEST_PATTERN, type Millis } from "#kernel";
import type { DeltaReference } from "#model";

/** How deltas lie on a node's disk: `<cacheDir>/<digest>/` with the two PEFT files and the reference they were fetched for. */

export const CONFIG_FILE = "adapter_config.json";
export const WEIGHTS_FILE = "adapter_model.safetensors";
const REFERENCE_FILE = "reference.json";
/** Folders that are still being written; what is left of them at a start is removed. */
const INCOMING_PREFIX = ".incoming-";

const REFERENCE = z.object({ digest: z.string().regex(DIGEST_PATTERN), tenantId: z.string().min(1), baseDigest: z.string().min(1) });

export interface StoredDelta {
  readonly reference: DeltaReference;
  readonly directory: string;
  readonly sizeBytes: Bytes;
  readonly usedAt: Millis;
}

export function deltaDirectory(cacheDirectory: string, reference: DeltaReference): string {
  return join(cacheDirectory, reference.digest);
}

/** An empty folder beside the final one, on the same file system, so that the rename is atomic. */
export async function openIncoming(cacheDirectory: string, reference: DeltaReference): Promise<string> {
  const directory = join(cacheDirectory, `${INCOMING_PREFIX}${reference.digest}`);
  await rm(directory, { recursive: true, force: true });
  await mkdir(directory, { recursive: true });
  return directory;
}

/** Moves a complete incoming folder to its final place. */
export async function keepIncoming(cacheDirectory: string, incoming: string, reference: DeltaReference): Promise<StoredDelta> {
  const directory = deltaDirectory(cacheDirectory, reference);
  await writeFile(join(incoming, REFERENCE_FILE), JSON.stringify(reference));
  await rm(directory, { recursive: true, force: true });
  await rename(incoming, directory);
  return { reference, directory, ...(await measure(directory)) };
}

export async function removeFolder(directory: string): Promise<void> {
  await rm(directory, { recursive: true, force: true });
}

/**
 * Remembers a use across restarts: the order of eviction goes by the folder's own time. A folder that was just removed
 * needs no note, and one that can't be touched is only evicted a little early.
 */
export async function noteUse(cacheDirectory: string, reference: DeltaReference, now: Millis): Promise<void> {
  await utimes(deltaDirectory(cacheDirectory, reference), now / 1000, now / 1000).catch(() => undefined);
}

/** What is on disk, least recently used first. Anything that is no complete delta is removed. */
export async function scanFolders(cacheDirectory: string): Promise<readonly StoredDelta[]> {
  await mkdir(cacheDirectory, { recursive: true });
  const found: StoredDelta[] = [];
  for (const name of await readdir(cacheDirectory)) {
    const directory = join(cacheDirectory, name);
    const stored = await readFolder(directory, name);
    if (stored) found.push(stored);
    else await removeFolder(directory);
  }
  return found.sort((one, other) => one.usedAt - other.usedAt);
}

async function readFolder(directory: string, name: string): Promise<StoredDelta | undefined> {
  try {
    const read = REFERENCE.parse(JSON.parse(await readFile(join(directory, REFERENCE_FILE), "utf8")));
    if (read.digest !== name) return undefined;
    const reference = {
      digest: asDeltaDigest(read.digest),
      tenantId: asTenantId(read.tenantId),
      baseDigest: asBaseDigest(read.baseDigest),
    };
    return { reference, directory, ...(await measure(directory)) };
  } catch {
    return undefined; // Missing or unreadable: an interrupted write or someone else's folder. It is fetched again when asked for.
  }
}

async function measure(directory: string): Promise<{ sizeBytes: Bytes; usedAt: Millis }> {
  const [config, weights, folder] = await Promise.all([
    stat(join(directory, CONFIG_FILE)),
    stat(join(directory, WEIGHTS_FILE)),
    stat(directory),
  ]);
  return { sizeBytes: config.size + weights.size, usedAt: folder.mtimeMs };
}
