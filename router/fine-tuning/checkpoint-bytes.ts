import { createReadStream } from "node:fs";
import { mkdir, open, readdir, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { assert, type Bytes, Fault, MIB } from "#kernel";
import { StagedFile } from "../blobs/index.ts";

/** What is needed to go on with a job after a crash: of each job the last, as a whole. */
export interface CheckpointBytes {
  /** Takes the place of the job's last one when all is there and `mayReplace` does not throw; on any failure that stays. */
  save(jobId: string, pieces: AsyncIterable<Uint8Array>, mayReplace: (sizeBytes: Bytes) => Promise<void>): Promise<void>;
  /** In pieces of at most 1 MiB. @throws Fault resource_unknown */
  load(jobId: string, signal: AbortSignal): AsyncGenerator<Buffer>;
  /** Idempotent. */
  remove(jobId: string): Promise<void>;
}

const ID_PATTERN = /^ftjob-[0-9a-f]{24}$/;
const PIECE_BYTES: Bytes = MIB;
const INCOMING = ".incoming";

/** Opens the folder, and clears away what a crash left half. `newName` gives names that were never given. */
export async function openCheckpointBytes(directory: string, bytesMax: Bytes, newName: () => string): Promise<CheckpointBytes> {
  const incoming = join(directory, INCOMING);
  await mkdir(incoming, { recursive: true });
  for (const name of await readdir(incoming)) await rm(join(incoming, name), { force: true });
  const pathOf = (jobId: string) => {
    assert(ID_PATTERN.test(jobId), "jobs have safe names, or this would be a path of somebody's choice");
    return join(directory, jobId);
  };
  return {
    async save(jobId, pieces, mayReplace) {
      const path = join(incoming, newName());
      try {
        await using staged = await StagedFile.create(path, bytesMax);
        for await (const bytes of pieces) await staged.append(bytes);
        await staged.finish();
        await mayReplace(staged.sizeBytes);
        await rename(path, pathOf(jobId));
        await using folder = await open(directory, "r");
        await folder.sync();
      } catch (error) {
        await rm(path, { force: true });
        throw error;
      }
    },
    async *load(jobId, signal) {
      try {
        yield* createReadStream(pathOf(jobId), { highWaterMark: PIECE_BYTES, signal }) as AsyncIterable<Buffer>;
      } catch (error) {
        signal.throwIfAborted();
        if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
        throw new Fault("resource_unknown", `there is no checkpoint of ${jobId} with this router`, { detail: { resource: jobId } });
      }
    },
    remove: (jobId) => rm(pathOf(jobId), { force: true }),
  };
}
