import type { BlobStore } from "#blobs";
import { assert, type Bytes, Fault } from "#kernel";

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

export function createCheckpointBytes(blobs: BlobStore, bytesMax: Bytes): CheckpointBytes {
  return {
    async save(jobId, pieces, mayReplace) {
      await using incoming = await blobs.receive("checkpoint", bytesMax);
      for await (const bytes of pieces) await incoming.append(bytes);
      await incoming.finish();
      await mayReplace(incoming.sizeBytes);
      await incoming.keep(nameOf(jobId));
    },
    async *load(jobId, signal) {
      try {
        for await (const { buffer, byteOffset, byteLength } of blobs.read(nameOf(jobId), undefined, signal))
          yield Buffer.from(buffer, byteOffset, byteLength);
      } catch (error) {
        if (!(error instanceof Fault && error.reason === "resource_unknown")) throw error;
        throw new Fault("resource_unknown", `there is no checkpoint of ${jobId} with this router`, { detail: { resource: jobId } });
      }
    },
    remove: (jobId) => blobs.remove(nameOf(jobId)),
  };
}

function nameOf(jobId: string): string {
  assert(ID_PATTERN.test(jobId), "jobs have safe names, or this would be a name of somebody's choice");
  return `checkpoints/${jobId}`;
}
