import { rename, rm } from "node:fs/promises";
import { type Checkpoint, saveCheckpoint, saveDelta } from "#model";
import type { Learnable } from "../training/plan.ts";

/**
 * Writes what was learned as a folder that others load: a delta as PEFT keeps it, a fully trained model as Hugging Face
 * does, with the base's own configuration and tokenizer. The folder appears complete or not at all, in place of an older one.
 */
export async function writeFinished(
  directory: string,
  checkpoint: Checkpoint,
  learnable: Learnable,
  values: ReadonlyMap<string, Float32Array<ArrayBuffer>>,
): Promise<void> {
  const partial = `${directory}.partial`;
  await rm(partial, { recursive: true, force: true });
  if (learnable.kind === "delta") await saveDelta(partial, checkpoint.info, learnable, values);
  else await saveCheckpoint(partial, checkpoint, values);
  await rm(directory, { recursive: true, force: true });
  await rename(partial, directory);
}
