import { Fault } from "#kernel";
import type { Checkpoint } from "#model";
import { DEFAULT_COMPUTE } from "../compute.ts";
import type { Runner, RunnerOptions } from "./contract.ts";
import { openCpuRunner } from "./cpu/cpu-runner.ts";
import { openDeviceRunner } from "./device/device-runner.ts";

/**
 * Loads a base into the runtime. Takes about a second per GB of weights, several where they are quantised. Faults: those of reading the weights.
 * A step may block the calling thread for as long as it runs: give the runner a process of its own.
 */
export async function openRunner(checkpoint: Checkpoint, options: RunnerOptions): Promise<Runner> {
  const { provider } = options.compute ?? DEFAULT_COMPUTE;
  switch (provider) {
    case "cpu":
      return await openCpuRunner(checkpoint, options);
    case "webgpu":
      return await openDeviceRunner(checkpoint, options);
    case "cuda":
      // Its outputs always come back to the host, the whole cache at every step: docs/decisions/device-engine.md.
      throw new Fault("parameter_unsupported", "there is no engine for --ep cuda; --ep webgpu uses the same devices", {
        detail: { field: "ep" },
      });
  }
}
