import { hash } from "node:crypto";
import { asDeltaDigest, type BaseDigest, type DeltaDigest, type TenantId } from "./ids.ts";

/** SHA-256 as 64 lower-case hexadecimal digits. */
export function sha256Hex(content: string | Uint8Array): string {
  return hash("sha256", content);
}

/**
 * A delta's identity: SHA-256 over five lines (each ended by a line feed) that name the scheme, the tenant, the base
 * and the two files as they were uploaded. Equal files of two tenants are two deltas, so that no cache is ever shared
 * between tenants by accident.
 */
export function deltaDigest(parts: {
  readonly tenantId: TenantId;
  readonly baseDigest: BaseDigest;
  /** Of adapter_config.json, hex. */
  readonly configSha256: string;
  /** Of adapter_model.safetensors, hex. */
  readonly weightsSha256: string;
}): DeltaDigest {
  const lines = ["deltaplane.delta.v1", parts.tenantId, parts.baseDigest, parts.configSha256, parts.weightsSha256];
  return asDeltaDigest(sha256Hex(lines.map((line) => `${line}\n`).join("")));
}
