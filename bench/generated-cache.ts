import { createHash } from "node:crypto";
import { access, mkdir, rename, rm } from "node:fs/promises";
import { join } from "node:path";

/** Raised when the same parameters give other files. */
const FORMAT = 1;

/** Where generated models are kept by default: beside the cluster's state, which git ignores. */
export const CACHE_DIRECTORY = join(process.env["DELTAPLANE_HOME"] ?? ".deltaplane", "bench");

/** The folder that `write` filled for these parameters, now or in an earlier run; it appears complete or not at all. */
export async function cachedDirectory(
  cacheDirectory: string,
  name: string,
  parameters: unknown,
  write: (directory: string) => Promise<void>,
): Promise<string> {
  const key = createHash("sha256")
    .update(JSON.stringify([FORMAT, parameters]))
    .digest("hex")
    .slice(0, 12);
  const directory = join(cacheDirectory, `${name}-${key}`);
  if (await exists(directory)) return directory;
  const partial = `${directory}.${process.pid}.partial`;
  await mkdir(partial, { recursive: true });
  try {
    await write(partial);
    await rename(partial, directory);
  } finally {
    await rm(partial, { recursive: true, force: true });
  }
  return directory;
}

async function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}
