import { createReadStream } from "node:fs";
import { realpath } from "node:fs/promises";
import { join, sep } from "node:path";
import type { BlobStore } from "#blobs";
import { Fault } from "#kernel";
import type { DeltaSource, OpenDeltaSource } from "#kubernetes";

const CONFIG_FILE = "adapter_config.json";
const WEIGHTS_FILE = "adapter_model.safetensors";

/** Where Delta objects may take their files from: below one folder, and in buckets. */
export function deltaSources(directory: string | undefined, openBucket: (url: string) => Promise<BlobStore>): OpenDeltaSource {
  return (place) => ("path" in place ? folderSource(directory, place.path) : bucketSource(openBucket, place.url));
}

function folderSource(directory: string | undefined, path: string): DeltaSource {
  if (directory === undefined) {
    throw new Fault("parameter_unsupported", "deltas from folders are not offered here: the scheduler has no --delta-directory", {
      detail: { field: "spec.source.path" },
    });
  }
  const read = async function* (name: string, signal: AbortSignal): AsyncGenerator<Uint8Array> {
    const file = await within(directory, join(path, name));
    yield* createReadStream(file, { signal }) as AsyncIterable<Uint8Array>;
  };
  return { config: (signal) => read(CONFIG_FILE, signal), weights: (signal) => read(WEIGHTS_FILE, signal) };
}

/** The file, which really lies below the folder, whatever links there are. @throws Fault file_missing or parameter_invalid */
async function within(directory: string, path: string): Promise<string> {
  let root: string;
  let file: string;
  try {
    root = await realpath(directory);
    file = await realpath(join(directory, path));
  } catch (cause) {
    throw new Fault("file_missing", `${path} is not in the folder of deltas`, { detail: { file: path }, cause });
  }
  if (file.startsWith(root + sep)) return file;
  throw new Fault("parameter_invalid", `${path} leads out of the folder of deltas`, { detail: { field: "spec.source.path" } });
}

function bucketSource(openBucket: (url: string) => Promise<BlobStore>, url: string): DeltaSource {
  const read = async function* (name: string, signal: AbortSignal): AsyncGenerator<Uint8Array> {
    await using bucket = await openBucket(url);
    yield* bucket.read(name, undefined, signal);
  };
  return { config: (signal) => read(CONFIG_FILE, signal), weights: (signal) => read(WEIGHTS_FILE, signal) };
}
