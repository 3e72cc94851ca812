export { Access } from "./access.ts";
export { authenticate } from "./authentication.ts";
export type { RandomSecret } from "./key-text.ts";
export { KeyUses, keepKeyUses } from "./key-uses.ts";
export { createAdminKey, issueKey, type KeyDeps, revokeKey } from "./keys.ts";
export { createProject, listProjects } from "./projects.ts";
export {
  changeTenant,
  createTenant,
  resumeTenant,
  suspendTenant,
  type TenantChange,
  tenantFor,
  tenantNamed,
  tenantOrAll,
} from "./tenants.ts";
