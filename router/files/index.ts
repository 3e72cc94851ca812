export { FILE_LIMITS, type FileLimits } from "./file-limits.ts";
export type { FileUpload } from "./file-upload.ts";
export { startTenantFiles, type TenantFiles } from "./tenant-files.ts";
