import { z } from "zod";
import { asBaseDigest, asDeltaDigest, asKeyId, asProjectId, asTenantId, DIGEST_PATTERN, NAME_PATTERN } from "#kernel";

/** A fine-tuning job, as the store holds it. Its events are a book of their own. */

const name = z.string().regex(NAME_PATTERN);
const fileId = z.string().regex(/^file-[0-9a-f]{24}$/);
const instant = z.number().int().nonnegative();
const count = z.number().int().nonnegative();

const hyperparameters = z.object({
  epochs: count.exactOptional(),
  batchSize: count.exactOptional(),
  learningRateMultiplier: z.number().exactOptional(),
  rank: count.exactOptional(),
  alpha: z.number().exactOptional(),
  rankStabilised: z.boolean().exactOptional(),
  targets: z.array(z.string()),
  promptLossWeight: z.number().exactOptional(),
  checkpointSteps: count.exactOptional(),
});

/** What was measured at a step, under the names of the result file. */
const metrics = z.record(z.string(), z.number());

export const job = z.object({
  id: z.string().regex(/^ftjob-[0-9a-f]{24}$/),
  tenantId: name.transform(asTenantId),
  projectId: name.transform(asProjectId),
  /** Who created it, and is named in the bill. */
  keyId: z.string().transform(asKeyId),
  createdAt: instant,
  state: z.enum(["validating_files", "queued", "running", "paused", "succeeded", "failed", "cancelled"]),
  baseName: name,
  baseDigest: z.string().regex(DIGEST_PATTERN).transform(asBaseDigest),
  trainingFile: fileId,
  validationFile: fileId.exactOptional(),
  suffix: name,
  seed: count,
  auto: z.boolean(),
  classificationMetrics: z.boolean(),
  metadata: z.record(z.string(), z.string()),
  integrations: z.array(
    z.object({ type: z.string(), project: z.string(), name: z.string(), entity: z.string(), tags: z.array(z.string()) }),
  ),
  /** As asked for, and as used: the second is set when its files have been checked. */
  wished: hyperparameters,
  chosen: hyperparameters.exactOptional(),
  reasons: z.record(z.string(), z.string()),
  priceVersion: count,
  /** Billable, of the whole training; 0 until the files have been checked. */
  plannedTokens: count,
  /** Billable, so far. Only grows: a step that is repeated after a crash comes to the same sum. */
  trainedTokens: count,
  stepsDone: count,
  stepsTotal: count,
  startedAt: instant.exactOptional(),
  finishedAt: instant.exactOptional(),
  estimatedFinishAt: instant.exactOptional(),
  /**
   * The last to work on it. `epoch` counts the job's holders, whatever they did: what an earlier one still sends is told by
   * it. `storeEpoch` is that of the store's lease.
   */
  lease: z
    .object({ trainerId: z.string(), epoch: count, storeEpoch: count, work: z.enum(["validate", "train"]), until: instant })
    .exactOptional(),
  /** After how many steps that was saved from which it would go on; 0 when there is nothing. */
  checkpointStep: count,
  published: z.string().regex(DIGEST_PATTERN).transform(asDeltaDigest).exactOptional(),
  checkpoints: z.array(
    z.object({ step: count, createdAt: instant, delta: z.string().regex(DIGEST_PATTERN).transform(asDeltaDigest), metrics }),
  ),
  resultFiles: z.array(fileId),
  error: z.object({ code: z.string(), message: z.string(), field: z.string() }).exactOptional(),
});

const OVER: ReadonlySet<string> = new Set(["succeeded", "failed", "cancelled"]);

/** Whether nothing more will happen to it. */
export function isJobOver({ state }: { readonly state: string }): boolean {
  return OVER.has(state);
}
