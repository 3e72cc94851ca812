import { z } from "zod";
import { asBaseDigest, asDeltaDigest, asKeyId, asProjectId, asTenantId, DIGEST_PATTERN, NAME_PATTERN } from "#kernel";
import { job } from "./job-shape.ts";

/**
 * What the store holds for the router, by kind. A record is read through its shape, so that a value that some other
 * writer left is refused where it enters and nowhere else.
 */

/** The project that every tenant has from the start. */
export const DEFAULT_PROJECT = "default";
/** The series of price lists that a tenant pays by unless it is told otherwise. */
export const STANDARD_PLAN = "standard";

const name = z.string().regex(NAME_PATTERN);
const tenantId = name.transform(asTenantId);
const baseDigest = z.string().regex(DIGEST_PATTERN).transform(asBaseDigest);
const deltaDigest = z.string().regex(DIGEST_PATTERN).transform(asDeltaDigest);
/** Milliseconds since the Unix epoch. */
const instant = z.number().int().nonnegative();
const count = z.number().int().nonnegative();

const projectId = name.transform(asProjectId);
/** Nano-dollars, whole, as the text of a bigint: JSON has no integers of that size. */
const nanoUsd = z.string().regex(/^\d{1,16}$/);

/** What is absent is not limited. */
const limits = z.object({
  requestsPerMinute: count.exactOptional(),
  inputTokensPerMinute: count.exactOptional(),
  outputTokensPerMinute: count.exactOptional(),
  /** Over all routers. */
  concurrentRequests: count.exactOptional(),
  /** Of one request, over all of its choices. */
  maxTokens: count.exactOptional(),
});

const tenant = z.object({
  id: tenantId,
  createdAt: instant,
  limits: limits.default({}),
  /** A hard cap on what may be spent: of each calendar month (UTC), or once and for all. */
  budget: z.object({ nanoUsd, period: z.enum(["month", "ever"]) }).exactOptional(),
  pricePlan: name.default(STANDARD_PLAN),
  suspendedAt: instant.exactOptional(),
});

const project = z.object({ id: projectId, tenantId, createdAt: instant });

/** Nano-dollars per token. */
const rates = z.object({ prompt: count, cached: count, completion: count, training: count });

/** Never changed; a later version of the plan takes its place. Its id is its version. */
const price = z.object({
  version: count.min(1),
  plan: name,
  effectiveFrom: instant,
  default: rates,
  /** By base name, where they differ. */
  bases: z.record(name, rates),
  gpuHour: nanoUsd,
});

const key = z.object({
  id: z
    .string()
    .regex(/^[0-9a-f]{16}$/)
    .transform(asKeyId),
  /** Absent for an operator's key. */
  tenantId: tenantId.exactOptional(),
  projectId: projectId.default(asProjectId(DEFAULT_PROJECT)),
  /** The owner's note. */
  name: z.string().max(64).default(""),
  scopes: z.array(z.enum(["infer", "train", "admin"])).min(1),
  /** Of the secret half, hex; the secret itself is kept nowhere. */
  secretSha256: z.string().regex(DIGEST_PATTERN),
  createdAt: instant,
  expiresAt: instant.exactOptional(),
  revokedAt: instant.exactOptional(),
});

/** When a key was last used, as far as a router has written it down. Its id is the key's. */
const use = z.object({ at: instant });

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
  /** Nodes of its own load it by themselves; it is not brought to the others. */
  ownNodes: z.boolean().exactOptional(),
});

const delta = z.object({
  /** Of a checkpoint: after how many steps; part of its name. */
  checkpointStep: count.min(1).exactOptional(),
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

/** At least one; weights are relative to each other. */
const targets = z.array(z.object({ delta: deltaDigest, weight: z.number().int().positive() })).min(1);

const alias = z.object({
  tenantId,
  name,
  targets,
  createdAt: instant,
  /** What it pointed at before, the latest first. */
  previous: z.array(z.object({ targets, until: instant })).default([]),
});

/** A file that a tenant uploaded; its bytes lie outside the store. */
const file = z.object({
  id: z.string().regex(/^file-[0-9a-f]{24}$/),
  tenantId,
  projectId,
  filename: z.string().max(255),
  purpose: z.string().max(64),
  sizeBytes: count,
  sha256: z.string().regex(DIGEST_PATTERN),
  createdAt: instant,
  expiresAt: instant.exactOptional(),
});

export const RECORD_SHAPES = { tenant, project, key, use, base, delta, alias, price, file, job } as const;

export type RecordKind = keyof typeof RECORD_SHAPES;
export type RecordOf<K extends RecordKind> = Readonly<z.output<(typeof RECORD_SHAPES)[K]>>;
export type TenantRecord = RecordOf<"tenant">;
export type ProjectRecord = RecordOf<"project">;
export type PriceRecord = RecordOf<"price">;
export type FileRecord = RecordOf<"file">;
export type JobRecord = RecordOf<"job">;
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
