import { constants } from "node:fs";
import { type FileHandle, open } from "node:fs/promises";
import type { Bytes } from "#kernel";
import { fileFault } from "./file-fault.ts";

/** Whether a symbolic link may stand for the file: yes in a base's folder (a hub cache is made of links), no where tenants write. */
export type Links = "follow" | "refuse";

/**
 * Opens a regular file for reading. Faults: file_missing; file_malformed for a directory, pipe or device, or for a
 * link where those are refused. The caller closes the handle.
 */
export async function openRegularFile(file: string, links: Links): Promise<{ readonly handle: FileHandle; readonly sizeBytes: Bytes }> {
  // Without O_NONBLOCK, opening a named pipe would wait for a writer for ever.
  const flags = constants.O_RDONLY | constants.O_NONBLOCK | (links === "refuse" ? constants.O_NOFOLLOW : 0);
  let handle: FileHandle;
  try {
    handle = await open(file, flags);
  } catch (error) {
    throw openFault(file, error);
  }
  try {
    const status = await handle.stat();
    if (!status.isFile()) throw fileFault("file_malformed", file, "not a regular file");
    return { handle, sizeBytes: status.size };
  } catch (error) {
    await handle.close();
    throw error;
  }
}

function openFault(file: string, error: unknown): unknown {
  const code = error instanceof Error && "code" in error ? error.code : undefined;
  if (code === "ENOENT" || code === "ENOTDIR") return fileFault("file_missing", file, "no such file", { cause: error });
  if (code === "ELOOP") return fileFault("file_malformed", file, "a symbolic link is not accepted here", { cause: error });
  if (code === "ENXIO") return fileFault("file_malformed", file, "not a regular file", { cause: error });
  return error;
}

/** Fills `target` from `offsetBytes` of the file. Fault file_malformed when the file ends before. */
export async function readExactly(handle: FileHandle, file: string, target: Uint8Array, offsetBytes: Bytes): Promise<void> {
  for (let done = 0; done < target.length; ) {
    // One read can't return more than 2 GiB, and may return less than it was asked for.
    const wanted = Math.min(target.length - done, 1 << 30);
    const { bytesRead } = await handle.read(target, done, wanted, offsetBytes + done);
    if (bytesRead === 0) throw fileFault("file_malformed", file, `ends at byte ${offsetBytes + done}, too early`);
    done += bytesRead;
  }
}

/** A whole file in memory. Fault file_malformed when it is larger than `sizeBytesMax`, which is checked before anything is read. */
export async function readWholeFile(file: string, sizeBytesMax: Bytes, links: Links): Promise<Buffer<ArrayBuffer>> {
  const { handle, sizeBytes } = await openRegularFile(file, links);
  try {
    if (sizeBytes > sizeBytesMax) {
      throw fileFault("file_malformed", file, `${sizeBytes} bytes, more than the ${sizeBytesMax} accepted`);
    }
    const content = Buffer.from(new ArrayBuffer(sizeBytes));
    await readExactly(handle, file, content, 0);
    return content;
  } finally {
    await handle.close();
  }
}
