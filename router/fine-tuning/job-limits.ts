import { type Bytes, DAY, GIB, type Millis, SECOND, type Tokens } from "#kernel";

/** What fine-tuning jobs may take up. */
export interface JobLimits {
  /** Of one tenant: validating, queued, running or paused. */
  readonly unfinishedJobsMax: number;
  /** Of one tenant; beyond, the job that ended longest ago is forgotten. */
  readonly jobsMax: number;
  readonly stepsMax: number;
  /** Of the whole training: what a ledger's claim may hold. */
  readonly plannedTokensMax: Tokens;
  /** Of what is kept to go on from: values and two moments each, of the largest delta that is taken. */
  readonly checkpointBytesMax: Bytes;
  /** Callable checkpoints of one job; the oldest goes. As OpenAI, which keeps three. */
  readonly checkpointsMax: number;
  /** A trainer that has not reported for so long has lost the job. It reports twice a second. */
  readonly leaseMs: Millis;
}

export const JOB_LIMITS: JobLimits = {
  unfinishedJobsMax: 20,
  jobsMax: 1_000,
  stepsMax: 50_000,
  plannedTokensMax: 1_000_000_000,
  checkpointBytesMax: 8 * GIB,
  checkpointsMax: 3,
  leaseMs: 20 * SECOND,
};

/** How long a trainer that asks for work is kept waiting when there is none. */
export const LEASE_WAIT_MS: Millis = 5 * SECOND;
/** Changes that other routers made are seen within this time. */
export const POLL_MS: Millis = 250;
/** Money is set aside no longer: a job that nobody resumed for so long gives it back. */
export const HOLD_MS: Millis = 60 * DAY;
