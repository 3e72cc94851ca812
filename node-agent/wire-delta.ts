import { asBaseDigest, asDeltaDigest, asTenantId, DIGEST_PATTERN, Fault, NAME_PATTERN } from "#kernel";
import type { DeltaReference } from "#model";
import type { DeltaReference as WireDeltaReference } from "#proto";

/**
 * A delta's reference from the wire. It becomes a folder's name, so nothing but a digest passes.
 *
 * @throws Fault parameter_invalid that names the field.
 */
export function readDelta(wire: WireDeltaReference | undefined): DeltaReference {
  if (!wire) throw invalid("delta", "is not set");
  if (!DIGEST_PATTERN.test(wire.digest)) throw invalid("delta.digest", "is no digest of 64 hexadecimal digits");
  if (!DIGEST_PATTERN.test(wire.baseDigest)) throw invalid("delta.base_digest", "is no digest of 64 hexadecimal digits");
  if (!NAME_PATTERN.test(wire.tenantId)) throw invalid("delta.tenant_id", "is no tenant's id");
  return { digest: asDeltaDigest(wire.digest), tenantId: asTenantId(wire.tenantId), baseDigest: asBaseDigest(wire.baseDigest) };
}

/** The delta of a request for `baseDigest`; undefined for the plain base. @throws Fault delta_base_mismatch, parameter_invalid */
export function readDeltaOf(baseDigest: string, wire: WireDeltaReference | undefined): DeltaReference | undefined {
  if (!wire) return undefined;
  const delta = readDelta(wire);
  if (delta.baseDigest !== baseDigest) throw new Fault("delta_base_mismatch", "the delta was made for another base than the request names");
  return delta;
}

function invalid(field: string, why: string): Fault {
  return new Fault("parameter_invalid", `${field}: ${why}`, { detail: { field } });
}
