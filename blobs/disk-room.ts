import { Fault } from "#kernel";

/** Waits for a write to this machine's disk. @throws Fault blobs_unavailable when it has no room */
export async function orNoRoom<T>(label: string, write: Promise<T>): Promise<T> {
  try {
    return await write;
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    if (code !== "ENOSPC" && code !== "EDQUOT") throw cause;
    throw new Fault("blobs_unavailable", `there is no room on disk for ${label}`, { cause });
  }
}
