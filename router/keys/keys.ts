import { type Clock, Fault, type KeyId, type Millis, type TenantId } from "#kernel";
import type { Records } from "#state";
import { type Catalog, type KeyRecord, recordKey } from "../catalog/index.ts";
import type { KeyScope } from "../contract.ts";
import { mintKey, type RandomSecret } from "./key-text.ts";

export interface KeyDeps {
  readonly clock: Clock;
  readonly randomSecret: RandomSecret;
}

export interface KeyWish {
  /** Undefined for an operator's key. */
  readonly tenantId: TenantId | undefined;
  readonly scopes: readonly KeyScope[];
  readonly expiresAt: Millis | undefined;
}

/** Per tenant: enough for every service of a customer, too few to fill the store. */
const KEYS_PER_TENANT_MAX = 1000;

/** Makes a key. @throws Fault resource_unknown for an unknown tenant, parameter_invalid for scopes that do not go together */
export async function issueKey(
  catalog: Catalog,
  deps: KeyDeps,
  wish: KeyWish,
): Promise<{ readonly record: KeyRecord; readonly text: string }> {
  checkWish(catalog, deps, wish);
  const { record, text } = newKey(deps, wish);
  const created = await catalog.create("key", record.id, record);
  if (!created) throw new Fault("version_conflict", "the key's id was taken: try again");
  return { record, text };
}

/** From this moment the key opens nothing here; elsewhere as soon as the change arrives. Idempotent. */
export async function revokeKey(catalog: Catalog, clock: Clock, id: KeyId): Promise<KeyRecord> {
  const revoked = await catalog.change("key", id, (key) => ({ ...key, revokedAt: key.revokedAt ?? clock.now() }));
  if (!revoked) throw new Fault("resource_unknown", `the key ${id} does not exist`, { detail: { resource: id } });
  return revoked;
}

/** The first key of a cluster, made by its composition root before any router runs. */
export async function createAdminKey(records: Records, deps: KeyDeps): Promise<{ readonly id: KeyId; readonly text: string }> {
  const { record, text } = newKey(deps, { tenantId: undefined, scopes: ["admin"], expiresAt: undefined });
  const written = await records.putIf(recordKey("key", record.id), record, undefined);
  if (written.kind !== "put") throw new Fault("version_conflict", "the key's id was taken: try again");
  return { id: record.id, text };
}

function newKey(deps: KeyDeps, wish: KeyWish): { readonly record: KeyRecord; readonly text: string } {
  const { id, text, secretSha256 } = mintKey(deps.randomSecret);
  const record: KeyRecord = {
    id,
    scopes: [...new Set(wish.scopes)],
    secretSha256,
    createdAt: deps.clock.now(),
    ...(wish.tenantId !== undefined && { tenantId: wish.tenantId }),
    ...(wish.expiresAt !== undefined && { expiresAt: wish.expiresAt }),
  };
  return { record, text };
}

function checkWish(catalog: Catalog, deps: KeyDeps, wish: KeyWish): void {
  const refuse = (field: string, message: string) => new Fault("parameter_invalid", message, { detail: { field } });
  if (wish.scopes.length === 0) throw refuse("scopes", "scopes must name at least one scope");
  if (wish.expiresAt !== undefined && wish.expiresAt <= deps.clock.now()) throw refuse("expires_at_ms", "expires_at_ms is in the past");
  const operator = wish.scopes.includes("admin");
  if (operator !== (wish.tenantId === undefined)) {
    throw refuse("scopes", "the scope admin belongs to keys without a tenant, and only to them");
  }
  if (wish.tenantId === undefined) return;
  if (!catalog.view.get("tenant", wish.tenantId)) {
    throw new Fault("resource_unknown", `the tenant ${wish.tenantId} does not exist`, { detail: { resource: wish.tenantId } });
  }
  let count = 0;
  for (const key of catalog.view.of("key", wish.tenantId)) if (key.revokedAt === undefined) count++;
  if (count >= KEYS_PER_TENANT_MAX)
    throw new Fault("rate_exceeded", `a tenant has at most ${KEYS_PER_TENANT_MAX} keys`, { retry: { kind: "never" } });
}
