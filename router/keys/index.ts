export { authenticate } from "./authentication.ts";
export type { RandomSecret } from "./key-text.ts";
export { createAdminKey, issueKey, type KeyDeps, revokeKey } from "./keys.ts";
export { createTenant, tenantFor } from "./tenants.ts";
