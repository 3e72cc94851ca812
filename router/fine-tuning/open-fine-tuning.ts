import type { BlobStore } from "#blobs";
import type { ClaimOutbox, Clock, Log, Random, Tokens } from "#kernel";
import type { StateStore } from "#state";
import type { TenantFiles } from "../files/index.ts";
import type { RandomSecret } from "../keys/index.ts";
import type { ModelDeps } from "../models/index.ts";
import type { PriceLookup } from "../prices/index.ts";
import { createCheckpointBytes } from "./checkpoint-bytes.ts";
import { JobEvents } from "./job-events.ts";
import { JOB_LIMITS, type JobLimits } from "./job-limits.ts";
import { JobMoney } from "./job-money.ts";
import type { JobParts } from "./job-parts.ts";
import { Jobs } from "./jobs.ts";
import { TrainerDesk } from "./trainer-desk.ts";

/** Fine-tuning as both of its sides see it. */
export interface FineTuning {
  readonly jobs: Jobs;
  readonly desk: TrainerDesk;
}

export async function openFineTuning(
  deps: {
    readonly clock: Clock;
    readonly random: Random;
    readonly randomSecret: RandomSecret;
    readonly log: Log;
    readonly blobs: BlobStore;
    readonly store: Pick<StateStore, "journal" | "leases" | "meters">;
    readonly models: ModelDeps;
    readonly files: TenantFiles;
    readonly prices: PriceLookup;
    readonly outbox: ClaimOutbox;
    /** A job has ended with so many tokens of its base. */
    readonly onTrained: (base: string, tokens: Tokens) => void;
  },
  options: {
    readonly limits?: JobLimits;
  },
): Promise<FineTuning> {
  const { store, models } = deps;
  const { catalog } = models;
  const limits = options.limits ?? JOB_LIMITS;
  const parts: JobParts = {
    ...deps,
    ...{ catalog, limits, publishing: new Set(), leases: store.leases },
    events: new JobEvents({ ...deps, journal: store.journal }),
    money: new JobMoney({ ...deps, view: catalog.view, meters: store.meters }),
    checkpointBytes: createCheckpointBytes(deps.blobs, limits.checkpointBytesMax),
  };
  return { jobs: new Jobs(parts), desk: new TrainerDesk(parts) };
}
