import type { TenantId } from "./ids.ts";

/**
 * Whose rows one may be taken from for a tenant that has none free: those of the tenant with most, when these are more than its own share, and
 * `tenantId` has less than its. Shares are equal, among who has rows and who asks. Undefined for nobody's: then one waits.
 */
export function rowsToShare<R extends { readonly tenantId: TenantId }>(
  rows: Iterable<R>,
  tenantId: TenantId,
  rowsMax: number,
): readonly R[] | undefined {
  const byTenant = Map.groupBy(rows, (row) => row.tenantId);
  const share = rowsMax / (byTenant.size + (byTenant.has(tenantId) ? 0 : 1));
  if ((byTenant.get(tenantId)?.length ?? 0) >= Math.floor(share)) return undefined;
  const [richest] = [...byTenant.values()].sort((one, other) => other.length - one.length);
  return richest && richest.length > share ? richest : undefined;
}
