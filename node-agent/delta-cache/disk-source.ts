import type { Bytes } from "#kernel";
import type { DeltaReference } from "#model";
import type { DeltaOrigin, TierSource } from "./contract.ts";
import { deltaDirectory, keepIncoming, openIncoming, removeFolder, type StoredDelta } from "./delta-folder.ts";

/** How the disk tier is filled: from the origin, into a folder beside the final one, then renamed. */
export function createDiskSource(
  origin: DeltaOrigin,
  cacheDirectory: string,
  /** Reserved while a fetch runs, whose size is known only at its end; a larger delta is refused. */
  fetchBytesMax: Bytes,
): TierSource<StoredDelta> {
  return {
    async prepare(reference, signal) {
      return {
        size: fetchBytesMax,
        async load() {
          const incoming = await openIncoming(cacheDirectory, reference);
          try {
            await origin.fetch(reference, incoming, fetchBytesMax, signal);
            const value = await keepIncoming(cacheDirectory, incoming, reference);
            return { value, size: value.sizeBytes };
          } catch (error) {
            await removeFolder(incoming);
            throw error;
          }
        },
        release: () => undefined, // The origin is nobody's entry.
      };
    },
    drop: (reference: DeltaReference) => removeFolder(deltaDirectory(cacheDirectory, reference)),
  };
}
