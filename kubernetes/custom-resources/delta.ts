import { z } from "zod";
import type { Resource } from "../api/contract.ts";
import { GROUP, VERSION } from "./base-model.ts";
import { Condition } from "./condition.ts";

export const DELTAS: Resource = { group: GROUP, version: VERSION, plural: "deltas", kind: "Delta" };

const Name = z
  .string()
  .regex(/^[a-z0-9][a-z0-9-]{0,62}$/)
  .max(63);

/** As many deltas back as an alias remembers. */
export const PUBLISHED_MAX = 10;

/**
 * What stands behind `<tenant>/<name>`. Tenant, base and name never change; another source publishes another delta and
 * switches the name to it.
 */
export const DeltaSpec = z.object({
  tenant: Name,
  base: Name,
  name: Name,
  /** A PEFT folder: one of the two. */
  source: z.object({
    /** Within the scheduler's --delta-directory. */
    path: z.string().min(1).max(1024).optional(),
    /** `s3://bucket/prefix` */
    url: z.string().min(1).max(2048).optional(),
  }),
  /** Whether its home node keeps it in RAM or faster. */
  pinned: z.boolean().optional(),
});
export type DeltaSpec = z.infer<typeof DeltaSpec>;

export const DeltaStatus = z.object({
  observedGeneration: z.int().min(0).optional(),
  /** The full name of the delta behind the name: `ft:<base>:<tenant>:<name>:<id>`. */
  model: z.string().max(512).optional(),
  digest: z.string().max(64).optional(),
  /** What it was made from. */
  source: z.string().max(2048).optional(),
  /** Every delta that this object published and did not remove, the latest last. */
  published: z.array(z.string().max(512)).max(PUBLISHED_MAX).optional(),
  conditions: z.array(Condition).optional(),
});
export type DeltaStatus = z.infer<typeof DeltaStatus>;
