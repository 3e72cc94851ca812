import { createHash } from "node:crypto";
import { createReadStream, createWriteStream } from "node:fs";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { type Bytes, Fault } from "#kernel";
import { sha256Of } from "../training-file.ts";
import { chooseSubsets } from "./subsets.ts";

export interface SubsetFile {
  readonly path: string;
  readonly records: number;
  readonly sizeBytes: Bytes;
}

/** What a sweep trains and measures on. */
export interface SubsetFiles {
  /** The same for the same content, seed and kind of measuring: how a sweep finds its jobs again. */
  readonly sweepId: string;
  readonly directory: string;
  /** By size, ascending. */
  readonly subsets: ReadonlyMap<number, SubsetFile>;
  readonly heldOut: Pick<SubsetFile, "path" | "records">;
}

export interface SubsetFilesWish {
  readonly trainingFile: string;
  readonly validationFile: string | undefined;
  readonly sizes: readonly number[] | undefined;
  readonly seed: number;
  /** Default: `sweep-<id>` here. */
  readonly directory: string | undefined;
}

const ID_CHARACTERS = 12;

/**
 * Writes the subsets of a JSONL file, and what is held out, below the sweep's folder. Reads the file a few times rather
 * than hold it in memory.
 *
 * @throws Fault file_missing; parameter_invalid as {@link chooseSubsets}
 */
export async function writeSubsets({ trainingFile, validationFile, sizes, seed, ...wish }: SubsetFilesWish): Promise<SubsetFiles> {
  const records = await countRecords(trainingFile);
  const choice = chooseSubsets(records, { sizes, seed, holdsOut: validationFile === undefined });
  const parts = [await sha256Of(trainingFile), validationFile === undefined ? "" : await sha256Of(validationFile), seed];
  const sweepId = createHash("sha256").update(parts.join("\n")).digest("hex").slice(0, ID_CHARACTERS);
  const directory = wish.directory ?? `sweep-${sweepId}`;
  await mkdir(directory, { recursive: true });
  const subsets = new Map<number, SubsetFile>();
  for (const [size, indices] of choice.subsets)
    subsets.set(size, await writePart(trainingFile, indices, join(directory, `train-${size}.jsonl`)));
  const heldOut =
    validationFile === undefined
      ? await writePart(trainingFile, choice.heldOut, join(directory, "held-out.jsonl"))
      : { path: validationFile, records: await countRecords(validationFile) };
  return { sweepId, directory, subsets, heldOut };
}

/** The records of a JSONL file, as they stand there. @throws Fault file_missing */
export async function* readRecords(file: string): AsyncGenerator<string> {
  const bytes = createReadStream(file);
  try {
    for await (const line of createInterface({ input: bytes, crlfDelay: Number.POSITIVE_INFINITY })) if (line.trim() !== "") yield line;
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code !== "ENOENT") throw cause;
    throw new Fault("file_missing", `${file} does not exist`, { detail: { file }, cause });
  } finally {
    bytes.destroy();
  }
}

async function countRecords(file: string): Promise<number> {
  let count = 0;
  for await (const _ of readRecords(file)) count++;
  return count;
}

async function writePart(source: string, indices: readonly number[], path: string): Promise<SubsetFile> {
  let sizeBytes = 0;
  const chosen = async function* () {
    let [index, next] = [0, 0];
    for await (const line of readRecords(source)) {
      if (next === indices.length) return;
      if (index++ !== indices[next]) continue;
      next++;
      const bytes = Buffer.from(`${line}\n`);
      sizeBytes += bytes.length;
      yield bytes;
    }
  };
  await pipeline(Readable.from(chosen()), createWriteStream(path));
  return { path, records: indices.length, sizeBytes };
}
