import { Fault, type Millis } from "#kernel";
import type { CatalogView } from "../catalog/index.ts";
import type { Principal } from "../contract.ts";
import { parseKey, secretMatches } from "./key-text.ts";

/**
 * Who a credential belongs to.
 * @throws Fault key_missing when there is none; key_unknown when it is malformed, unknown, expired, revoked or of a tenant
 * that is gone: the same for all five; tenant_suspended, which only the holder of a good key ever learns
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
  const { id: keyId, tenantId, projectId } = record;
  const scopes = new Set(record.scopes);
  if (tenantId === undefined) return { keyId, tenantId, projectId: undefined, scopes };
  const tenant = view.get("tenant", tenantId);
  if (!tenant) throw new Fault("key_unknown", "the API key is not valid");
  if (tenant.suspendedAt !== undefined) throw suspended(tenantId);
  return { keyId, tenantId, projectId, scopes };
}

export function suspended(tenantId: string): Fault<"tenant_suspended"> {
  return new Fault("tenant_suspended", `the tenant ${tenantId} is suspended`, { detail: { resource: tenantId } });
}
