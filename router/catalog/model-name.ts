import type { DeltaDigest, TenantId } from "#kernel";

/** How many digits of its digest a delta's name carries: enough to tell a tenant's versions of one suffix apart. */
const ID_DIGITS = 8;

/** The one full name of a delta: `ft:<base>:<tenant>:<suffix>:<id>`, and `:ckpt-step-<n>` behind it for a checkpoint of a job. */
export function deltaName(delta: {
  readonly baseName: string;
  readonly tenantId: TenantId;
  readonly suffix: string;
  readonly digest: DeltaDigest;
  readonly checkpointStep?: number;
}): string {
  const name = `ft:${delta.baseName}:${delta.tenantId}:${delta.suffix}:${delta.digest.slice(0, ID_DIGITS)}`;
  return delta.checkpointStep === undefined ? name : `${name}:ckpt-step-${delta.checkpointStep}`;
}

/** What clients call an alias, and the id of its record: `<tenant>/<name>`. */
export function aliasName(alias: { readonly tenantId: TenantId; readonly name: string }): string {
  return `${alias.tenantId}/${alias.name}`;
}
