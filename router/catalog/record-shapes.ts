import { z } from "zod";
import { asBaseDigest, asDeltaDigest, asKeyId, asTenantId, DIGEST_PATTERN, NAME_PATTERN } from "#kernel";

/**
 * What the store holds for the router, by kind. A record is read through its shape, so that a value that some other
 * writer left is refused where it enters and nowhere else.
 */

const name = z.string().regex(NAME_PATTERN);
const tenantId = name.transform(asTenantId);
const baseDigest = z.string().regex(DIGEST_PATTERN).transform(asBaseDigest);
const deltaDigest = z.string().regex(DIGEST_PATTERN).transform(asDeltaDigest);
/** Milliseconds since the Unix epoch. */
const instant = z.number().int().nonnegative();
const count = z.number().int().nonnegative();

const tenant = z.object({ id: tenantId, createdAt: instant });

const key = z.object({
  id: z
    .string()
    .regex(/^[0-9a-f]{16}$/)
    .transform(asKeyId),
  /** Absent for an operator's key. */
  tenantId: tenantId.exactOptional(),
  scopes: z.array(z.enum(["infer", "train", "admin"])).min(1),
  /** Of the secret half, hex; the secret itself is kept nowhere. */
  secretSha256: z.string().regex(DIGEST_PATTERN),
  createdAt: instant,
  expiresAt: instant.exactOptional(),
  revokedAt: instant.exactOptional(),
});

const base = z.object({
  name,
  digest: baseDigest,
  architecture: z.string(),
  contextTokensMax: count,
  vocabularySize: count,
  parameterCount: count,
  weightType: z.string(),
  /** The folder on the nodes. */
  directory: z.string(),
  createdAt: instant,
});

const delta = z.object({
  digest: deltaDigest,
  tenantId,
  baseDigest,
  /** What the base was called when the delta was pushed; part of the delta's name. */
  baseName: name,
  suffix: name,
  rank: count,
  sizeBytes: count,
  targets: z.array(z.string()),
  createdAt: instant,
  pinned: z.boolean(),
});

const alias = z.object({
  tenantId,
  name,
  /** At least one; weights are relative to each other. */
  targets: z.array(z.object({ delta: deltaDigest, weight: z.number().int().positive() })).min(1),
  createdAt: instant,
});

export const RECORD_SHAPES = { tenant, key, base, delta, alias } as const;

export type RecordKind = keyof typeof RECORD_SHAPES;
export type RecordOf<K extends RecordKind> = Readonly<z.output<(typeof RECORD_SHAPES)[K]>>;
export type TenantRecord = RecordOf<"tenant">;
export type KeyRecord = RecordOf<"key">;
export type BaseRecord = RecordOf<"base">;
export type DeltaRecord = RecordOf<"delta">;
export type AliasRecord = RecordOf<"alias">;

/** The store's key of a record: `delta/<digest>`, `alias/<tenant>/<name>`. */
export function recordKey(kind: RecordKind, id: string): string {
  return `${kind}/${id}`;
}

/** The two halves of a store key; undefined for a key of somebody else's records. */
export function parseRecordKey(text: string): { readonly kind: RecordKind; readonly id: string } | undefined {
  const slash = text.indexOf("/");
  const kind = text.slice(0, slash);
  return slash > 0 && Object.hasOwn(RECORD_SHAPES, kind) ? { kind: kind as RecordKind, id: text.slice(slash + 1) } : undefined;
}
