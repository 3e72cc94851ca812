import { type Bytes, Fault, type TenantId } from "#kernel";
import type { FileLimits } from "./file-limits.ts";

/** What a tenant has already. */
interface Kept {
  readonly files: number;
  readonly sizeBytes: Bytes;
}

/** An upload's share of its tenant's room. Dispose it when the upload has ended. */
export interface UploadPlace extends Disposable {
  /** @throws Fault rate_exceeded when the tenant may keep no more bytes */
  grow(bytes: Bytes): void;
}

interface OnTheWay {
  uploads: number;
  sizeBytes: Bytes;
}

/** Counts what is on its way against what a tenant may keep, so that parallel uploads do not get past it. */
export class UploadRoom {
  readonly #limits: FileLimits;
  readonly #onTheWay = new Map<TenantId, OnTheWay>();

  constructor(limits: FileLimits) {
    this.#limits = limits;
  }

  /** @throws Fault rate_exceeded when the tenant may keep no more files, or uploads as many as it may */
  take(tenantId: TenantId, kept: Kept): UploadPlace {
    const { tenantFilesMax, tenantUploadsMax, tenantBytesMax } = this.#limits;
    const all = this.#onTheWay.get(tenantId) ?? { uploads: 0, sizeBytes: 0 };
    if (all.uploads >= tenantUploadsMax) throw new Fault("rate_exceeded", `a tenant uploads at most ${tenantUploadsMax} files at once`);
    if (kept.files + all.uploads >= tenantFilesMax) throw full(`a tenant has at most ${tenantFilesMax} files: remove some`);
    this.#onTheWay.set(tenantId, all);
    all.uploads++;
    let own: Bytes = 0;
    let ended = false;
    return {
      grow(bytes) {
        own += bytes;
        all.sizeBytes += bytes;
        if (kept.sizeBytes + all.sizeBytes > tenantBytesMax)
          throw full(`a tenant's files have at most ${tenantBytesMax} bytes: remove some`);
      },
      [Symbol.dispose]: () => {
        if (ended) return;
        ended = true;
        all.uploads--;
        all.sizeBytes -= own;
        if (all.uploads === 0) this.#onTheWay.delete(tenantId);
      },
    };
  }
}

function full(message: string): Fault {
  return new Fault("rate_exceeded", message, { retry: { kind: "never" } });
}
