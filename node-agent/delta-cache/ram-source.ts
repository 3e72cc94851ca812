import { stat } from "node:fs/promises";
import { join } from "node:path";
import { type BaseDigest, type DeltaDigest, Fault, type FaultReason, isFault } from "#kernel";
import type { BaseInfo, DeltaReference, LoadedDelta } from "#model";
import { type DeltaFacts, StaleCopy, type TierLease, type TierSource } from "./contract.ts";
import { type StoredDelta, WEIGHTS_FILE } from "./delta-folder.ts";
import type { DeltaLoader } from "./delta-loader.ts";
import type { Tier } from "./tier.ts";

/** Weights are stored in at least two bytes a value and held in four. */
const GROWTH_MAX = 2;

/** Faults of a copy on disk that a fresh copy may not have. */
const DAMAGE: ReadonlySet<FaultReason> = new Set<FaultReason>(["checksum_mismatch", "file_missing", "file_malformed"]);

/** Faults that every copy of the delta has. */
const UNUSABLE: ReadonlySet<FaultReason> = new Set<FaultReason>(["weights_not_finite", "model_unsupported", "delta_base_mismatch"]);

/** How the RAM tier is filled: from the disk tier, through a loading thread. A damaged copy on disk is fetched once more. */
export function createRamSource(
  disk: Tier<StoredDelta>,
  loader: DeltaLoader,
  bases: ReadonlyMap<BaseDigest, BaseInfo>,
  learn: (digest: DeltaDigest, facts: DeltaFacts) => void,
): TierSource<LoadedDelta> {
  return {
    async prepare(reference, signal) {
      const base = bases.get(reference.baseDigest);
      if (!base) throw new Fault("delta_base_mismatch", "the delta's base is not on this node");
      const stored = await disk.acquire(reference, signal);
      return {
        size: await sizeMax(stored),
        load: async () => {
          const value = await loadChecked(loader, stored, reference, base);
          learn(reference.digest, value);
          return { value, size: value.sizeBytes };
        },
        release: () => stored.release(),
      };
    },
    async drop() {
      // Memory goes with the last reference to it.
    },
  };
}

/** Not checked for its digest: an upper bound that costs no reading. */
async function sizeMax(stored: TierLease<StoredDelta>): Promise<number> {
  const weights = await stat(join(stored.value.directory, WEIGHTS_FILE)).catch(() => undefined);
  return (weights?.size ?? 0) * GROWTH_MAX; // A missing file is found, and dealt with, by the load.
}

async function loadChecked(loader: DeltaLoader, stored: TierLease<StoredDelta>, reference: DeltaReference, base: BaseInfo) {
  try {
    return await loader.load(stored.value.directory, reference, base);
  } catch (error) {
    if (!isFault(error) || !isBadContent(error)) throw error;
    stored.release("corrupt");
    throw stored.fresh || !DAMAGE.has(error.reason) ? error : new StaleCopy("the copy on disk was damaged", { cause: error });
  }
}

/** Whether the fault is the files' own, so that they must not stay on disk. A crashed thread says nothing of them. */
export function isBadContent(fault: Fault): boolean {
  return DAMAGE.has(fault.reason) || UNUSABLE.has(fault.reason);
}
