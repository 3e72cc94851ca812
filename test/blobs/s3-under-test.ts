import { randomBytes } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type BlobStore, openBlobStore } from "#blobs";
import { type Clock, seededRandom, systemClock } from "#kernel";
import type { S3Server } from "./s3-server.ts";
import { ACCESS_KEY, REGION } from "./s3-signature.ts";

/** Small, so that a few bytes are many parts; real stores want 5 MiB at least. */
export const PART_BYTES = 1000;

export const blobDeps = (clock: Clock = systemClock) => ({ clock, random: seededRandom(1), newName: () => randomBytes(8).toString("hex") });

/** Keys of the test server, where the SDK looks for keys. */
export function setTestKeys(): void {
  process.env["AWS_ACCESS_KEY_ID"] = ACCESS_KEY.accessKeyId;
  process.env["AWS_SECRET_ACCESS_KEY"] = ACCESS_KEY.secretAccessKey;
  process.env["AWS_REGION"] = REGION;
}

export function urlOf(server: S3Server, prefix: string): string {
  return `s3://${server.bucketName}/${prefix}?endpoint=${encodeURIComponent(server.endpoint)}&path-style=true`;
}

export interface TemporaryStore extends AsyncDisposable {
  readonly store: BlobStore;
  readonly spoolDirectory: string;
  again(): Promise<BlobStore>;
}

/** A store over the test server with a spool of its own, and patience for a test. */
export async function openTestStore(
  url: string,
  options: { readonly partBytes?: number; readonly triesMax?: number; readonly silenceMsMax?: number } = {},
): Promise<TemporaryStore> {
  const spoolDirectory = await mkdtemp(join(tmpdir(), "deltaplane-spool-"));
  const { partBytes = PART_BYTES, triesMax = 4, silenceMsMax = 5_000 } = options;
  const open = () =>
    openBlobStore(blobDeps(), url, {
      spoolDirectory,
      retries: { triesMax, backoffMsMin: 1, backoffMsMax: 4, silenceMsMax },
      uploads: { partBytes, partsAtOnce: 3 },
    });
  const store = await open();
  return {
    ...{ store, spoolDirectory, again: open },
    async [Symbol.asyncDispose]() {
      await store[Symbol.asyncDispose]();
      await rm(spoolDirectory, { recursive: true, force: true });
    },
  };
}
