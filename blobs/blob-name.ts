import { assert } from "#kernel";

/** No part begins with a dot: `..` would lead out of the store, and what is half there is kept under such names. */
const PART = /^[A-Za-z0-9_][A-Za-z0-9._+-]{0,254}$/;
const PARTS_MAX = 16;
/** S3's own limit, less room for the prefix. */
const NAME_CHARACTERS_MAX = 768;

export function isBlobName(name: string): boolean {
  const parts = name.split("/");
  return name.length <= NAME_CHARACTERS_MAX && parts.length <= PARTS_MAX && parts.every((part) => PART.test(part));
}

/** Names are ours, never a client's: a bad one is a defect, and could be a path of somebody's choice. */
export function checkBlobName(name: string): void {
  assert(isBlobName(name), `"${name}" is no name of a blob`);
}

/** Of {@link BlobStore.list}: the empty one names everything. */
export function checkBlobPrefix(prefix: string): void {
  assert(prefix === "" || (prefix.endsWith("/") && isBlobName(prefix.slice(0, -1))), `"${prefix}" is no prefix of blobs' names`);
}
