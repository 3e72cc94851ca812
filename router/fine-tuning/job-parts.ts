import type { Clock, Log } from "#kernel";
import type { Leases } from "#state";
import type { Catalog } from "../catalog/index.ts";
import type { TenantFiles } from "../files/index.ts";
import type { RandomSecret } from "../keys/index.ts";
import type { ModelDeps, Publishing } from "../models/index.ts";
import type { CheckpointBytes } from "./checkpoint-bytes.ts";
import type { JobEvents } from "./job-events.ts";
import type { JobLimits } from "./job-limits.ts";
import type { JobMoney } from "./job-money.ts";

/** What fine-tuning is built from. */
export interface JobParts {
  readonly catalog: Catalog;
  readonly models: ModelDeps;
  /** Deltas that are being published here. */
  readonly publishing: Publishing;
  readonly clock: Clock;
  readonly log: Log;
  readonly randomSecret: RandomSecret;
  readonly leases: Leases;
  readonly files: TenantFiles;
  readonly events: JobEvents;
  readonly money: JobMoney;
  readonly checkpointBytes: CheckpointBytes;
  readonly limits: JobLimits;
}
