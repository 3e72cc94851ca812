import type { Bytes, Millis } from "#kernel";

/** What a store knows of a blob without reading it. */
export interface BlobFacts {
  readonly sizeBytes: Bytes;
  /** By the store's clock, milliseconds since the epoch. */
  readonly writtenAt: Millis;
  /** Hex. Undefined where the store keeps none beside the bytes: a folder. */
  readonly sha256?: string;
}

export interface StoredBlob extends BlobFacts {
  readonly name: string;
}

/** What a reader knows of the bytes it is to get. */
export interface ExpectedBlob {
  /** Hex. */
  readonly sha256: string;
  readonly sizeBytes: Bytes;
}

/** A blob on its way in: nobody's, and seen by nobody, until it is kept. Dispose it to drop what was not kept. */
export interface IncomingBlob extends AsyncDisposable {
  readonly sizeBytes: Bytes;
  /** @throws Fault message_too_large, blobs_unavailable when there is no room */
  append(bytes: Uint8Array): Promise<void>;
  /** No more comes; gives the SHA-256, hex. @throws Fault file_missing when nothing came */
  finish(): Promise<string>;
  /** Makes it the content of `name`, whole and durable when it resolves; what was there before is replaced, and seen until then. */
  keep(name: string, signal?: AbortSignal): Promise<void>;
}

/**
 * Bytes under names, each written as a whole: a half-uploaded blob is never seen, also not after a crash. Names are
 * `part/part/…` (see {@link checkBlobName}) and the same in every store, so that a folder can be copied into a bucket.
 */
export interface BlobStore extends AsyncDisposable {
  /** For logs; no secret is in it. */
  readonly url: string;
  /** @param label what faults call it, since its name is not known yet */
  receive(label: string, sizeBytesMax: Bytes): Promise<IncomingBlob>;
  find(name: string, signal?: AbortSignal): Promise<BlobFacts | undefined>;
  /**
   * In pieces of at most 1 MiB. Checked against what is expected, or else against what the store says it took in.
   * @throws Fault resource_unknown; checksum_mismatch before the last piece of what is not what was stored
   */
  read(name: string, expected: ExpectedBlob | undefined, signal: AbortSignal): AsyncGenerator<Uint8Array>;
  /** The bytes from `startBytes` on, for who has those before; they are not checked. @throws Fault resource_unknown */
  readFrom(name: string, startBytes: Bytes, signal: AbortSignal): AsyncGenerator<Uint8Array>;
  /** Idempotent. */
  remove(name: string): Promise<void>;
  /** All whose name begins with `prefix` (whole parts, ending in a slash), in no order. */
  list(prefix: string, signal?: AbortSignal): AsyncGenerator<StoredBlob>;
  /** Clears away what was begun before this time and never kept. */
  removeUnfinished(before: Millis, signal?: AbortSignal): Promise<void>;
}

/** Told of what a store does, for the metrics. */
export interface BlobObserver {
  /** One request to the store has ended; `retried` means that it failed and is tried again. */
  requested(operation: string, outcome: "ok" | "retried" | "failed"): void;
  moved(direction: "in" | "out", bytes: Bytes): void;
}

export const UNOBSERVED: BlobObserver = { requested: () => undefined, moved: () => undefined };
