import { timingSafeEqual } from "node:crypto";
import { Fault, sha256Hex } from "#kernel";

/** The bearer token of an Authorization header, if it holds one. */
export function bearerToken(header: string | undefined): string | undefined {
  return /^Bearer\s+(\S+)$/i.exec(header ?? "")?.[1];
}

/**
 * Refuses a call without the expected cluster key. Digests are compared, so that neither the key's length nor its first
 * wrong character shows in the time it takes.
 * @throws Fault key_missing or key_unknown
 */
export function requireClusterKey(credential: string | undefined, clusterKey: string): void {
  if (credential === undefined) throw new Fault("key_missing", "the cluster key is missing");
  const equal = timingSafeEqual(Buffer.from(sha256Hex(credential)), Buffer.from(sha256Hex(clusterKey)));
  if (!equal) throw new Fault("key_unknown", "the cluster key is wrong");
}
