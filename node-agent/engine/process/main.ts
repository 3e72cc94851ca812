import { systemClock } from "#kernel";
import { openCheckpoint } from "#model";
import { openRunner } from "../runner/index.ts";
import { serveInThisProcess } from "./serve-process.ts";

// The program of the engine's process: a base from its folder, in the runtime, behind the channel to the agent.
serveInThisProcess(async ({ directory, name, compute, threads, limits }) => {
  const checkpoint = await openCheckpoint(directory, { name });
  return openRunner(checkpoint, { limits, threads, clock: systemClock, ...(compute && { compute }) });
});
