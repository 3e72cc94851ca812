import { createHash, type Hash } from "node:crypto";
import { type FileHandle, open } from "node:fs/promises";
import { basename } from "node:path";
import { type Bytes, Fault } from "#kernel";

/** A file that grows piece by piece, is hashed on the way and never exceeds its limit. Dispose it to close it. */
export class StagedFile implements AsyncDisposable {
  readonly #name: string;
  readonly #handle: FileHandle;
  readonly #sizeBytesMax: Bytes;
  readonly #hash: Hash = createHash("sha256");
  #sizeBytes: Bytes = 0;

  private constructor(name: string, handle: FileHandle, sizeBytesMax: Bytes) {
    this.#name = name;
    this.#handle = handle;
    this.#sizeBytesMax = sizeBytesMax;
  }

  static async create(path: string, sizeBytesMax: Bytes): Promise<StagedFile> {
    return new StagedFile(basename(path), await open(path, "wx"), sizeBytesMax);
  }

  get sizeBytes(): Bytes {
    return this.#sizeBytes;
  }

  /** @throws Fault message_too_large */
  async append(bytes: Uint8Array): Promise<void> {
    this.#sizeBytes += bytes.byteLength;
    if (this.#sizeBytes > this.#sizeBytesMax) {
      throw new Fault("message_too_large", `${this.#name} is larger than ${this.#sizeBytesMax} bytes`, { detail: { file: this.#name } });
    }
    this.#hash.update(bytes);
    await this.#handle.appendFile(bytes);
  }

  /** Makes it durable; gives its SHA-256, hex. @throws Fault file_missing when nothing came */
  async finish(): Promise<string> {
    if (this.#sizeBytes === 0) throw new Fault("file_missing", `${this.#name} is missing or empty`, { detail: { file: this.#name } });
    await this.#handle.sync();
    return this.#hash.digest("hex");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#handle.close();
  }
}
