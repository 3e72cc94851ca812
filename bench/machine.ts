import { readFileSync } from "node:fs";
import { availableParallelism, cpus, totalmem } from "node:os";
import { GIB } from "#kernel";

/** The machine as far as it matters to a figure, and nothing that tells whose it is. */
export interface Machine {
  readonly cpu: string;
  readonly cores: number;
  readonly memoryGib: number;
  readonly node: string;
  readonly runtime: string;
  /** What computed, with its driver, where that was not the processor. */
  readonly device?: string;
}

export function describeMachine(): Machine {
  return {
    cpu: cpus()[0]?.model.trim() ?? "unknown",
    cores: availableParallelism(),
    memoryGib: Math.round(totalmem() / GIB),
    node: process.versions.node,
    runtime: `onnxruntime-node ${runtimeVersion()}`,
  };
}

function runtimeVersion(): string {
  const manifest = new URL("../node_modules/onnxruntime-node/package.json", import.meta.url);
  return (JSON.parse(readFileSync(manifest, "utf8")) as { version: string }).version;
}
