import { type Bytes, GIB, MIB } from "#kernel";

/** What one tenant may keep in files. */
export interface FileLimits {
  /** Of one file. */
  readonly fileBytesMax: Bytes;
  /** Of all of a tenant's files, those on their way included. */
  readonly tenantBytesMax: Bytes;
  readonly tenantFilesMax: number;
  /** On their way at once, of one tenant. */
  readonly tenantUploadsMax: number;
}

/** As OpenAI: a training file has at most 512 MiB. The rest keeps one tenant from filling the disk, or everyone's memory with records. */
export const FILE_LIMITS: FileLimits = {
  fileBytesMax: 512 * MIB,
  tenantBytesMax: 16 * GIB,
  tenantFilesMax: 1_000,
  tenantUploadsMax: 8,
};
