import type { BlobStore } from "#blobs";
import { type Bytes, type Clock, every, Fault, type Log, MINUTE, type Millis, toFault } from "#kernel";
import { type Catalog, DEFAULT_PROJECT, type FileRecord, isJobOver } from "../catalog/index.ts";
import type { Principal } from "../contract.ts";
import type { RandomSecret } from "../keys/index.ts";
import { createFileBytes, type FileBytes } from "./file-bytes.ts";
import { FILE_LIMITS, type FileLimits } from "./file-limits.ts";
import { FileUpload } from "./file-upload.ts";
import { UploadRoom } from "./upload-room.ts";

export interface TenantFilesDeps {
  /** Where the bytes lie. Routers of one cluster share it. */
  readonly blobs: BlobStore;
  readonly catalog: Catalog;
  readonly clock: Clock;
  readonly log: Log;
  readonly randomSecret: RandomSecret;
}

export interface TenantFilesOptions {
  readonly limits?: FileLimits;
}

/** Files that tenants upload. What is someone else's, or has expired, is not there. */
export interface TenantFiles extends AsyncDisposable {
  readonly limits: FileLimits;
  /** @throws Fault scope_missing for who has no tenant; rate_exceeded when the tenant has as many as it may */
  receive(principal: Principal, filename: string): Promise<FileUpload>;
  /** In order of creation. */
  list(principal: Principal): readonly FileRecord[];
  /** @throws Fault resource_unknown */
  get(principal: Principal, id: string): FileRecord;
  /** @throws Fault resource_unknown, checksum_mismatch */
  read(file: FileRecord, signal: AbortSignal): AsyncGenerator<Uint8Array>;
  /** @throws Fault resource_unknown, resource_in_use while a fine-tuning job that is not over needs it */
  remove(principal: Principal, id: string): Promise<void>;
}

/** An expired file is invisible at once; its bytes are gone within this time, or a few times it when many expire together. */
const SWEEP_MS: Millis = MINUTE;
const SWEPT_AT_ONCE_MAX = 100;

/** Opens the tenants' files, and removes from time to time what has expired. */
export async function startTenantFiles(deps: TenantFilesDeps, options: TenantFilesOptions = {}): Promise<TenantFiles> {
  const { catalog, clock } = deps;
  const limits = options.limits ?? FILE_LIMITS;
  const newName = () => deps.randomSecret(12).toString("hex");
  const bytes = createFileBytes(deps.blobs);
  const room = new UploadRoom(limits);
  const stopping = new AbortController();
  const swept = every(clock, SWEEP_MS, stopping.signal, () =>
    removeExpired(deps, bytes).catch((error: unknown) =>
      deps.log.warn({ err: toFault(error) }, "old files could not be removed; it is tried again"),
    ),
  );

  const visible = (file: FileRecord) => file.expiresAt === undefined || clock.now() < file.expiresAt;
  const get = (principal: Principal, id: string): FileRecord => {
    const file = catalog.view.own("file", principal.tenantId, id);
    if (!file || !visible(file)) throw unknownFile(id);
    return file;
  };
  return {
    limits,
    get,
    async receive(principal, filename) {
      const owner = ownerOf(principal);
      const kept = [...catalog.view.of("file", owner.tenantId)];
      const place = room.take(owner.tenantId, { files: kept.length, sizeBytes: sum(kept.map((file) => file.sizeBytes)) });
      try {
        const incoming = await bytes.receive(limits.fileBytesMax);
        return new FileUpload({ ...deps, newName }, { owner, filename, incoming, place, sizeBytesMax: limits.fileBytesMax });
      } catch (error) {
        place[Symbol.dispose]();
        throw error;
      }
    },
    list: ({ tenantId }) =>
      [...(tenantId === undefined ? catalog.view.all("file") : catalog.view.of("file", tenantId))].filter(visible).sort(byCreation),
    read: (file, signal) => bytes.read(file, signal),
    async remove(principal, id) {
      const file = get(principal, id);
      checkUnused(catalog, file);
      if (!(await catalog.remove("file", id))) throw unknownFile(id);
      await bytes.remove(file);
    },
    async [Symbol.asyncDispose]() {
      stopping.abort();
      await swept;
    },
  };
}

function checkUnused({ view }: Catalog, { id, tenantId }: FileRecord): void {
  for (const job of view.of("job", tenantId)) {
    if (isJobOver(job) || (job.trainingFile !== id && job.validationFile !== id)) continue;
    throw new Fault("resource_in_use", `the job ${job.id} needs the file ${id}`, { detail: { resource: id } });
  }
}

async function removeExpired({ catalog, clock }: TenantFilesDeps, bytes: FileBytes): Promise<void> {
  const now = clock.now();
  const expired = catalog.view
    .all("file")
    .filter((file) => file.expiresAt !== undefined && file.expiresAt <= now)
    .take(SWEPT_AT_ONCE_MAX);
  for (const file of [...expired]) {
    await catalog.remove("file", file.id);
    await bytes.remove(file);
  }
}

function ownerOf({ tenantId, projectId }: Principal): Pick<FileRecord, "tenantId" | "projectId"> {
  if (tenantId === undefined) throw new Fault("scope_missing", "a file belongs to a tenant: use a key of one");
  return { tenantId, projectId: projectId ?? (DEFAULT_PROJECT as FileRecord["projectId"]) };
}

function byCreation(one: FileRecord, other: FileRecord): number {
  return one.createdAt - other.createdAt || (one.id < other.id ? -1 : 1);
}

function unknownFile(id: string): Fault {
  return new Fault("resource_unknown", `the file "${id}" does not exist or you do not have access to it`, { detail: { resource: id } });
}

function sum(values: readonly Bytes[]): Bytes {
  return values.reduce((total, value) => total + value, 0);
}
