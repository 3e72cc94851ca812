import { open } from "node:fs/promises";
import { type Bytes, KIB } from "#kernel";

/** No line of ours is longer; so the last two of these many bytes hold a whole one. */
export const LINE_BYTES_MAX: Bytes = 32 * KIB;

const TAIL_BYTES: Bytes = 2 * LINE_BYTES_MAX;

/**
 * Cuts what a crash left at a file's end, a torn line or zeros, and gives the last whole line, read by `parse`;
 * undefined when there is none or no such file.
 */
export async function lastWholeLine<T>(file: string, parse: (line: string) => T | undefined): Promise<T | undefined> {
  const handle = await openExisting(file);
  if (handle === undefined) return undefined;
  try {
    let { size: end } = await handle.stat();
    while (end > 0) {
      const start = Math.max(0, end - TAIL_BYTES);
      const tail = Buffer.alloc(end - start);
      await handle.read(tail, 0, tail.length, start);
      const whole = tail.lastIndexOf(0x0a) + 1;
      const before = whole === 0 ? 0 : tail.subarray(0, whole - 1).lastIndexOf(0x0a) + 1;
      const value = whole === 0 ? undefined : parse(tail.toString("utf8", before, whole - 1));
      end = start + (value === undefined ? before : whole);
      await handle.truncate(end);
      if (value !== undefined) return value;
    }
    return undefined;
  } finally {
    await handle.close();
  }
}

async function openExisting(file: string) {
  try {
    return await open(file, "r+");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
}
