export { BaseDirectory, type KnownBase } from "./base-directory.ts";
export { type Catalog, startCatalog } from "./catalog.ts";
export { isJobOver } from "./job-shape.ts";
export { aliasName, deltaName } from "./model-name.ts";
export {
  type AliasRecord,
  type BaseRecord,
  DEFAULT_PROJECT,
  type DeltaRecord,
  type FileRecord,
  type JobRecord,
  type KeyRecord,
  type PriceRecord,
  type ProjectRecord,
  RECORD_SHAPES,
  recordKey,
  STANDARD_PLAN,
  type TenantRecord,
} from "./record-shapes.ts";
export { choose, type DeltaReference, findDelta, mayUse, type NameSources, resolveModel, type Target, unknownModel } from "./resolution.ts";
export { CatalogView } from "./view.ts";
