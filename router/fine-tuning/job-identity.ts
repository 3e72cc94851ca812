import { isDeepStrictEqual } from "node:util";
import { Fault, sha256Hex } from "#kernel";
import type { CreateJobRequest } from "#proto";
import type { JobRecord } from "../catalog/index.ts";
import { invalid, type JobWish } from "./job-wish.ts";

/** What a job is known by. */
export interface JobIdentity {
  readonly id: string;
  /** For a job that names none. */
  readonly seed: number;
}

const KEY_PATTERN = /^[\x20-\x7e]{1,255}$/;
const ID_BYTES = 12;

/**
 * With an idempotency key both follow from tenant and key: a creation whose answer was lost can be repeated.
 * @throws Fault parameter_invalid for a malformed key
 */
export function identifyJob(tenantId: string, key: string, randomSecret: (sizeBytes: number) => Buffer): JobIdentity {
  if (key !== "" && !KEY_PATTERN.test(key))
    throw invalid("idempotency_key", "idempotency_key must have 1 to 255 printable ASCII characters");
  const chance = key === "" ? randomSecret(ID_BYTES) : Buffer.from(sha256Hex(`deltaplane.job.v1\n${tenantId}\n${key}\n`), "hex");
  return { id: `ftjob-${chance.toString("hex", 0, ID_BYTES)}`, seed: chance.readUInt32BE() >>> 1 };
}

/** The job that was made before with the same key. @throws Fault idempotency_key_reused when another one was asked for */
export function sameJob(job: JobRecord, wish: JobWish, request: CreateJobRequest): JobRecord {
  const { seed, ...wished } = wish;
  const { suffix, auto, classificationMetrics, metadata, integrations, wished: hyperparameters } = job;
  const same =
    isDeepStrictEqual(wished, { suffix, auto, classificationMetrics, metadata, integrations, wished: hyperparameters }) &&
    (seed ?? job.seed) === job.seed &&
    job.baseName === request.model &&
    job.trainingFile === request.trainingFile &&
    (job.validationFile ?? "") === request.validationFile;
  if (same) return job;
  throw new Fault("idempotency_key_reused", "the idempotency key was used for another job", { detail: { field: "idempotency_key" } });
}
