import { createHash, type Hash } from "node:crypto";
import { type FileHandle, open } from "node:fs/promises";
import { type Bytes, Fault } from "#kernel";
import { orNoRoom } from "./disk-room.ts";

/** A file that grows piece by piece, is hashed on the way and never exceeds its limit. Dispose it to close it. */
export class StagedFile implements AsyncDisposable {
  readonly path: string;
  readonly #label: string;
  readonly #handle: FileHandle;
  readonly #sizeBytesMax: Bytes;
  readonly #hash: Hash = createHash("sha256");
  #sizeBytes: Bytes = 0;
  #sha256: string | undefined;

  private constructor(path: string, label: string, handle: FileHandle, sizeBytesMax: Bytes) {
    this.path = path;
    this.#label = label;
    this.#handle = handle;
    this.#sizeBytesMax = sizeBytesMax;
  }

  /** @param label what faults call it */
  static async create(path: string, label: string, sizeBytesMax: Bytes): Promise<StagedFile> {
    return new StagedFile(path, label, await open(path, "wx+"), sizeBytesMax);
  }

  get sizeBytes(): Bytes {
    return this.#sizeBytes;
  }

  /** @throws Fault message_too_large, blobs_unavailable */
  async append(bytes: Uint8Array): Promise<void> {
    this.#sizeBytes += bytes.byteLength;
    if (this.#sizeBytes > this.#sizeBytesMax) {
      throw new Fault("message_too_large", `${this.#label} is larger than ${this.#sizeBytesMax} bytes`, { detail: { file: this.#label } });
    }
    this.#hash.update(bytes);
    await orNoRoom(this.#label, this.#handle.appendFile(bytes));
  }

  /** Makes it durable; gives its SHA-256, hex. Idempotent. @throws Fault file_missing when nothing came */
  async finish(): Promise<string> {
    if (this.#sha256 !== undefined) return this.#sha256;
    if (this.#sizeBytes === 0) throw new Fault("file_missing", `${this.#label} is missing or empty`, { detail: { file: this.#label } });
    await orNoRoom(this.#label, this.#handle.sync());
    this.#sha256 = this.#hash.digest("hex");
    return this.#sha256;
  }

  /** The bytes from `start` up to `end`, of a file that is finished. */
  async slice(start: Bytes, end: Bytes): Promise<Buffer> {
    const bytes = Buffer.allocUnsafe(end - start);
    for (let filled = 0; filled < bytes.length; ) {
      const { bytesRead } = await this.#handle.read(bytes, filled, bytes.length - filled, start + filled);
      if (bytesRead === 0) throw new Fault("checksum_mismatch", `${this.#label} became shorter on this machine's disk`);
      filled += bytesRead;
    }
    return bytes;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#handle.close();
  }
}
