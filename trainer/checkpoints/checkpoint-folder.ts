import { mkdir, readdir, rm } from "node:fs/promises";
import path from "node:path";

const NAME = /^step-(\d{8})\.safetensors$/;

/** The last and, should that turn out to be damaged, the one before. */
const KEPT = 2;

/** The checkpoints of one training in a folder of their own: `step-00000250.safetensors`. */
export function checkpointPath(directory: string, step: number): string {
  return path.join(directory, `step-${String(step).padStart(8, "0")}.safetensors`);
}

/** Newest first; none when there is no such folder yet. */
export async function listCheckpoints(directory: string): Promise<readonly string[]> {
  await mkdir(directory, { recursive: true });
  const names = (await readdir(directory)).filter((name) => NAME.test(name));
  return names
    .sort()
    .reverse()
    .map((name) => path.join(directory, name));
}

/** Removes all but the newest. */
export async function pruneCheckpoints(directory: string): Promise<void> {
  for (const file of (await listCheckpoints(directory)).slice(KEPT)) await rm(file, { force: true });
}
