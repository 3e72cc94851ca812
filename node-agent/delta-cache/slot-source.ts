import type { LoadedDelta } from "#model";
import type { Engine, Slot } from "../engine/contract.ts";
import { tableRanks } from "../engine/runner/cpu/delta-tables.ts";
import type { TierSource } from "./contract.ts";
import type { Tier } from "./tier.ts";

/** How an engine's slots are filled: from the RAM tier. The unit is ranks of the engine's packed tables. */
export function createSlotSource(ram: Tier<LoadedDelta>, engine: Pick<Engine, "attach" | "detach">): TierSource<Slot> {
  return {
    async prepare(reference, signal) {
      const held = await ram.acquire(reference, signal);
      const size = tableRanks(held.value.rank);
      return {
        size,
        load: async () => ({ value: await engine.attach(held.value), size }),
        release: () => held.release(), // The engine has its own copy now.
      };
    },
    drop: (_reference, slot) => engine.detach(slot),
  };
}
