import { Fault } from "#kernel";
import type { Checkpoint } from "#model";
import { DEFAULT_COMPUTE } from "../compute.ts";
import type { Runner, RunnerOptions } from "./contract.ts";
import { openCpuRunner } from "./cpu/cpu-runner.ts";

/**
 * Loads a base into the runtime. Takes about a second per GB of weights. Faults: those of reading the weights.
 * A step may block the calling thread for as long as it runs: give the runner a process of its own.
 */
export async function openRunner(checkpoint: Checkpoint, options: RunnerOptions): Promise<Runner> {
  const { provider } = options.compute ?? DEFAULT_COMPUTE;
  switch (provider) {
    case "cpu":
      return await openCpuRunner(checkpoint, options);
    case "webgpu":
    case "cuda":
      throw new Fault("parameter_unsupported", `this build has no engine for --ep ${provider}`);
  }
}
