export { BaseDirectory, type KnownBase } from "./base-directory.ts";
export { type Catalog, startCatalog } from "./catalog.ts";
export { aliasName, deltaName } from "./model-name.ts";
export {
  type AliasRecord,
  type BaseRecord,
  type DeltaRecord,
  type KeyRecord,
  RECORD_SHAPES,
  recordKey,
  type TenantRecord,
} from "./record-shapes.ts";
export {
  choose,
  type DeltaReference,
  findDelta,
  mayUse,
  type NameSources,
  resolveModel,
  type Target,
  targetOf,
  unknownModel,
} from "./resolution.ts";
export { CatalogView } from "./view.ts";
