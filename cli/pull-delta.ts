import { mkdir, open, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { Fault } from "#kernel";
import type { PullDeltaResponse } from "#proto";

/**
 * Writes a delta's files as a PEFT folder, which appears complete or not at all.
 * @throws Fault resource_exists when there is something of that name
 */
export async function pullDelta(pieces: AsyncIterable<PullDeltaResponse>, directory: string): Promise<void> {
  const partial = `${directory}.partial`;
  await rm(partial, { recursive: true, force: true });
  try {
    for await (const { part } of pieces) {
      if (!part) continue;
      await mkdir(partial, { recursive: true });
      await using file = await open(join(partial, part.$case === "config" ? "adapter_config.json" : "adapter_model.safetensors"), "a");
      await file.appendFile(part.value);
    }
    await rename(partial, directory);
  } catch (error) {
    await rm(partial, { recursive: true, force: true });
    if (!["ENOTEMPTY", "EEXIST", "ENOTDIR"].includes((error as NodeJS.ErrnoException).code ?? "")) throw error;
    throw new Fault("resource_exists", `${directory} exists`, { detail: { file: directory }, cause: error });
  }
}
