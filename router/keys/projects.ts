import { asProjectId, type Clock, Fault, NAME_PATTERN } from "#kernel";
import { type Catalog, type CatalogView, DEFAULT_PROJECT, type ProjectRecord, type TenantRecord } from "../catalog/index.ts";
import { tenantNamed } from "./tenants.ts";

/** Per tenant: departments and products, not users. */
const PROJECTS_PER_TENANT_MAX = 1000;

/** @throws Fault parameter_invalid, resource_unknown for an unknown tenant, resource_exists */
export async function createProject(
  catalog: Catalog,
  clock: Clock,
  wish: { readonly tenantId: string; readonly id: string },
): Promise<ProjectRecord> {
  const { id } = wish;
  if (!NAME_PATTERN.test(id)) {
    throw new Fault("parameter_invalid", `the project id "${id}" does not match ${NAME_PATTERN.source}`, { detail: { field: "id" } });
  }
  const tenant = tenantNamed(catalog.view, wish.tenantId);
  if ([...catalog.view.of("project", tenant.id)].length >= PROJECTS_PER_TENANT_MAX) {
    throw new Fault("rate_exceeded", `a tenant has at most ${PROJECTS_PER_TENANT_MAX} projects`, { retry: { kind: "never" } });
  }
  const record = { id: asProjectId(id), tenantId: tenant.id, createdAt: clock.now() };
  const created = id === DEFAULT_PROJECT ? undefined : await catalog.create("project", storedId(tenant, id), record);
  if (!created) throw new Fault("resource_exists", `the tenant ${tenant.id} has a project ${id}`, { detail: { resource: id } });
  return created;
}

/** The one that every tenant has, and those that were made, in order of ids. */
export function listProjects(view: CatalogView, tenantId: string): readonly ProjectRecord[] {
  const tenant = tenantNamed(view, tenantId);
  return [first(tenant), ...view.of("project", tenant.id)].sort((one, other) => (one.id < other.id ? -1 : 1));
}

/** @throws Fault resource_unknown */
export function projectOf(view: CatalogView, tenant: TenantRecord, id: string): ProjectRecord {
  const project = id === DEFAULT_PROJECT ? first(tenant) : view.own("project", tenant.id, storedId(tenant, id));
  if (!project)
    throw new Fault("resource_unknown", `the tenant ${tenant.id} has no project "${id}"`, {
      detail: { field: "project_id", resource: id },
    });
  return project;
}

function first({ id: tenantId, createdAt }: TenantRecord): ProjectRecord {
  return { id: asProjectId(DEFAULT_PROJECT), tenantId, createdAt };
}

function storedId(tenant: TenantRecord, id: string): string {
  return `${tenant.id}/${id}`;
}
