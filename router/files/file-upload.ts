import { assert, type Bytes, type Clock, Fault, type Millis } from "#kernel";
import type { Catalog, FileRecord } from "../catalog/index.ts";
import type { IncomingFile } from "./file-bytes.ts";
import type { UploadPlace } from "./upload-room.ts";

interface FileUploadDeps {
  readonly catalog: Catalog;
  readonly clock: Clock;
  readonly newName: () => string;
}

interface FileUploadParts {
  readonly owner: Pick<FileRecord, "tenantId" | "projectId">;
  readonly filename: string;
  readonly incoming: IncomingFile;
  readonly place: UploadPlace;
  readonly sizeBytesMax: Bytes;
}

/** A file on its way in: nobody's until it is kept. Dispose it; what was not kept leaves nothing. */
export class FileUpload implements AsyncDisposable {
  readonly #deps: FileUploadDeps;
  readonly #parts: FileUploadParts;

  constructor(deps: FileUploadDeps, parts: FileUploadParts) {
    this.#deps = deps;
    this.#parts = parts;
  }

  get sizeBytes(): Bytes {
    return this.#parts.incoming.sizeBytes;
  }

  /** @throws Fault message_too_large, rate_exceeded */
  async append(bytes: Uint8Array): Promise<void> {
    const { incoming, place, sizeBytesMax } = this.#parts;
    if (incoming.sizeBytes + bytes.byteLength > sizeBytesMax) {
      throw new Fault("message_too_large", `file: is larger than ${sizeBytesMax} bytes`, { detail: { field: "file" } });
    }
    place.grow(bytes.byteLength);
    await incoming.append(bytes);
  }

  /** Makes it the tenant's: durable when it resolves. @throws Fault parameter_invalid for an empty one */
  async keep(as: { readonly purpose: string; readonly expiresAfterMs?: Millis | undefined }): Promise<FileRecord> {
    const { owner, filename, incoming } = this.#parts;
    if (incoming.sizeBytes === 0) throw new Fault("parameter_invalid", "file: is empty", { detail: { field: "file" } });
    const sha256 = await incoming.finish();
    const createdAt = this.#deps.clock.now();
    const file: FileRecord = {
      ...owner,
      id: `file-${this.#deps.newName()}`,
      filename,
      purpose: as.purpose,
      sizeBytes: incoming.sizeBytes,
      sha256,
      createdAt,
      ...(as.expiresAfterMs !== undefined && { expiresAt: createdAt + as.expiresAfterMs }),
    };
    await incoming.keep(file);
    // Should this fail, nobody knows whether the record is there: the bytes stay, and go some time later if it is not.
    const created = await this.#deps.catalog.create("file", file.id, file);
    assert(created, "a file's id was never given before");
    return file;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#parts.place[Symbol.dispose]();
    await this.#parts.incoming[Symbol.asyncDispose]();
  }
}
