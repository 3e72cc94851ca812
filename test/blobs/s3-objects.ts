import { createHash, randomUUID } from "node:crypto";

export interface StoredObject {
  readonly bytes: Buffer;
  readonly eTag: string;
  readonly sha256: string | undefined;
  readonly writtenAt: Date;
}

interface Upload {
  readonly key: string;
  readonly sha256: string | undefined;
  readonly begunAt: Date;
  readonly parts: Map<number, { readonly bytes: Buffer; readonly eTag: string }>;
}

const md5 = (bytes: Uint8Array) => createHash("md5").update(bytes).digest("hex");

/** One bucket in memory. */
export class S3Bucket {
  readonly objects = new Map<string, StoredObject>();
  readonly uploads = new Map<string, Upload>();

  put(key: string, bytes: Buffer, sha256: string | undefined, eTag = `"${md5(bytes)}"`): StoredObject {
    const object = { bytes, eTag, sha256, writtenAt: new Date() };
    this.objects.set(key, object);
    return object;
  }

  begin(key: string, sha256: string | undefined, begunAt = new Date()): string {
    const id = randomUUID();
    this.uploads.set(id, { key, sha256, begunAt, parts: new Map() });
    return id;
  }

  /** Undefined for an upload that is not there. */
  putPart(id: string, number: number, bytes: Buffer): string | undefined {
    const eTag = `"${md5(bytes)}"`;
    this.uploads.get(id)?.parts.set(number, { bytes, eTag });
    return this.uploads.has(id) ? eTag : undefined;
  }

  /** Undefined for an upload that is not there, or other parts than it has. */
  complete(id: string, parts: readonly { readonly number: number; readonly eTag: string }[]): StoredObject | undefined {
    const upload = this.uploads.get(id);
    if (!upload || parts.length === 0 || parts.some(({ number, eTag }) => upload.parts.get(number)?.eTag !== eTag)) return undefined;
    this.uploads.delete(id);
    const bytes = Buffer.concat(parts.map(({ number }) => upload.parts.get(number)!.bytes));
    return this.put(upload.key, bytes, upload.sha256, `"${md5(bytes)}-${parts.length}"`);
  }

  keys(prefix: string): readonly string[] {
    return [...this.objects.keys()].filter((key) => key.startsWith(prefix)).sort();
  }
}
