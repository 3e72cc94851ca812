import { asProjectId, type Clock, Fault, type KeyId, type Millis, type ProjectId, type TenantId } from "#kernel";
import type { Records } from "#state";
import { type Catalog, DEFAULT_PROJECT, type KeyRecord, recordKey } from "../catalog/index.ts";
import type { KeyScope } from "../contract.ts";
import { mintKey, type RandomSecret } from "./key-text.ts";
import { projectOf } from "./projects.ts";
import { tenantNamed } from "./tenants.ts";

export interface KeyDeps {
  readonly clock: Clock;
  readonly randomSecret: RandomSecret;
}

export interface KeyWish {
  /** Undefined for an operator's key. */
  readonly tenantId: TenantId | undefined;
  /** Empty for the tenant's first project; an operator's key has none. */
  readonly projectId: string;
  readonly scopes: readonly KeyScope[];
  readonly expiresAt: Millis | undefined;
  /** The owner's note. */
  readonly name: string;
}

/** Per tenant: enough for every service of a customer, too few to fill the store. */
const KEYS_PER_TENANT_MAX = 1000;
/** The owner's note: a line in a list. */
const NOTE_PATTERN = /^[^\p{C}]{0,64}$/u;

/**
 * Makes a key.
 * @throws Fault resource_unknown for an unknown tenant or project, parameter_invalid for scopes that do not go together, a
 * time that is past or a note that is no line
 */
export async function issueKey(
  catalog: Catalog,
  deps: KeyDeps,
  wish: KeyWish,
): Promise<{ readonly record: KeyRecord; readonly text: string }> {
  checkWish(deps, wish);
  const projectId = wish.tenantId === undefined ? undefined : keyProject(catalog, wish.tenantId, wish.projectId);
  const { record, text } = newKey(deps, wish, projectId);
  const created = await catalog.create("key", record.id, record);
  if (!created) throw new Fault("version_conflict", "the key's id was taken: try again");
  return { record, text };
}

/** From this moment the key opens nothing here; elsewhere as soon as the change arrives. Idempotent. */
export async function revokeKey(catalog: Catalog, clock: Clock, id: KeyId): Promise<KeyRecord> {
  const revoked = await catalog.change("key", id, (key) => ({ ...key, revokedAt: key.revokedAt ?? clock.now() }));
  if (!revoked) throw new Fault("resource_unknown", `the key "${id}" does not exist`, { detail: { resource: id } });
  return revoked;
}

/** The first key of a cluster, made by its composition root before any router runs. */
export async function createAdminKey(records: Records, deps: KeyDeps): Promise<{ readonly id: KeyId; readonly text: string }> {
  const wish: KeyWish = { tenantId: undefined, projectId: "", scopes: ["admin"], expiresAt: undefined, name: "first" };
  const { record, text } = newKey(deps, wish, undefined);
  const written = await records.putIf(recordKey("key", record.id), record, undefined);
  if (written.kind !== "put") throw new Fault("version_conflict", "the key's id was taken: try again");
  return { id: record.id, text };
}

function newKey(deps: KeyDeps, wish: KeyWish, projectId: ProjectId | undefined): { readonly record: KeyRecord; readonly text: string } {
  const { id, text, secretSha256 } = mintKey(deps.randomSecret);
  const record: KeyRecord = {
    id,
    projectId: projectId ?? asProjectId(DEFAULT_PROJECT),
    name: wish.name,
    scopes: [...new Set(wish.scopes)],
    secretSha256,
    createdAt: deps.clock.now(),
    ...(wish.tenantId !== undefined && { tenantId: wish.tenantId }),
    ...(wish.expiresAt !== undefined && { expiresAt: wish.expiresAt }),
  };
  return { record, text };
}

/** What can be told without a look at anybody's records. */
function checkWish(deps: KeyDeps, wish: KeyWish): void {
  if (wish.scopes.length === 0) throw refused("scopes", "scopes must name at least one scope");
  if (wish.expiresAt !== undefined && !(wish.expiresAt > deps.clock.now())) throw refused("expires_at_ms", "expires_at_ms is in the past");
  if (!NOTE_PATTERN.test(wish.name)) throw refused("name", "name must be one line of at most 64 characters");
  const operator = wish.scopes.includes("admin");
  if (operator !== (wish.tenantId === undefined)) {
    throw refused("scopes", "the scope admin belongs to keys without a tenant, and only to them");
  }
  if (operator && wish.projectId !== "") throw refused("project_id", "an operator's key belongs to no project");
}

/** @throws Fault resource_unknown, or rate_exceeded when the tenant has as many keys as it may */
function keyProject(catalog: Catalog, tenantId: TenantId, projectId: string): ProjectId {
  const tenant = tenantNamed(catalog.view, tenantId);
  let count = 0;
  for (const key of catalog.view.of("key", tenantId)) if (key.revokedAt === undefined) count++;
  if (count >= KEYS_PER_TENANT_MAX)
    throw new Fault("rate_exceeded", `a tenant has at most ${KEYS_PER_TENANT_MAX} keys`, { retry: { kind: "never" } });
  return projectOf(catalog.view, tenant, projectId || DEFAULT_PROJECT).id;
}

function refused(field: string, message: string): Fault {
  return new Fault("parameter_invalid", message, { detail: { field } });
}
