export { parseS3Url } from "./s3-place.ts";
export type { S3Retries } from "./s3-requests.ts";
export { openS3Store, type S3StoreDeps } from "./s3-store.ts";
export type { S3UploadLimits } from "./s3-upload.ts";
