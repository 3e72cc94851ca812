export { parseS3Url, type S3Place } from "./s3-place.ts";
export { S3_RETRIES, type S3Retries } from "./s3-requests.ts";
export { openS3Store, type S3StoreDeps, type S3StoreOptions } from "./s3-store.ts";
export type { S3UploadLimits } from "./s3-upload.ts";
