import { timingSafeEqual } from "node:crypto";
import { asKeyId, type KeyId, sha256Hex } from "#kernel";

/** Unpredictable bytes, given by the shell. */
export type RandomSecret = (sizeBytes: number) => Buffer;

/** Names a key in lists and logs; long enough never to collide. */
const ID_BYTES = 8;
/** 192 bits: nothing to guess, so a plain hash is enough to store it by. */
const SECRET_BYTES = 24;
const KEY_PATTERN = /^dp_([0-9a-f]{16})_([0-9a-f]{48})$/;
/** Stands in for the hash of a key that does not exist, so that the comparison is made all the same. */
const NO_HASH = "0".repeat(64);

export interface MintedKey {
  readonly id: KeyId;
  /** `dp_<id>_<secret>`: shown once, stored nowhere. */
  readonly text: string;
  readonly secretSha256: string;
}

export function mintKey(randomSecret: RandomSecret): MintedKey {
  const id = randomSecret(ID_BYTES).toString("hex");
  const secret = randomSecret(SECRET_BYTES).toString("hex");
  return { id: asKeyId(id), text: `dp_${id}_${secret}`, secretSha256: sha256Hex(secret) };
}

/** The halves of a key; undefined when it does not have a key's form. */
export function parseKey(text: string): { readonly id: KeyId; readonly secret: string } | undefined {
  const [, id, secret] = KEY_PATTERN.exec(text) ?? [];
  return id === undefined || secret === undefined ? undefined : { id: asKeyId(id), secret };
}

/** Whether a secret is the one that was hashed, in a time that tells nothing of either. */
export function secretMatches(secret: string, secretSha256: string | undefined): boolean {
  const equal = timingSafeEqual(Buffer.from(sha256Hex(secret)), Buffer.from(secretSha256 ?? NO_HASH));
  return equal && secretSha256 !== undefined;
}
