import { compareOnSeed } from "#scheduler/sim";
import { processorMs, type SimulationTask } from "./simulation-jobs.ts";

/** Simulates what its parent sends, one task at a time; ends with its parent. */
process.on("message", ({ options, seed }: SimulationTask) => {
  process.send!(compareOnSeed(options, seed, processorMs));
});
process.on("disconnect", () => process.exit());
