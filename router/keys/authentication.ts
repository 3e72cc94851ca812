import { Fault, type Millis } from "#kernel";
import type { CatalogView } from "../catalog/index.ts";
import type { Principal } from "../contract.ts";
import { parseKey, secretMatches } from "./key-text.ts";

/**
 * Who a credential belongs to.
 * @throws Fault key_missing when there is none, key_unknown when it is malformed, unknown, expired or revoked: the same
 * for all four
 */
export function authenticate(view: CatalogView, credential: string | undefined, now: Millis): Principal {
  if (credential === undefined || credential === "") {
    throw new Fault("key_missing", "no API key was sent: send it as `authorization: Bearer <key>`");
  }
  const parsed = parseKey(credential);
  const record = parsed && view.get("key", parsed.id);
  const matches = secretMatches(parsed?.secret ?? "", record?.secretSha256);
  const valid = record && record.revokedAt === undefined && (record.expiresAt === undefined || now < record.expiresAt);
  if (!matches || !valid) throw new Fault("key_unknown", "the API key is not valid");
  return { keyId: record.id, tenantId: record.tenantId, scopes: new Set(record.scopes) };
}
