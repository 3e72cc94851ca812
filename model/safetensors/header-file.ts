import { type Links, openRegularFile, readExactly } from "../files/index.ts";
import { type HeaderLimits, headerLength, parseHeader, type SafetensorsHeader } from "./header.ts";

/** Reads and checks the header of a safetensors file; see `parseHeader` for what is checked. Faults: file_missing, file_malformed. */
export async function readSafetensorsHeader(file: string, limits: HeaderLimits, links: Links = "follow"): Promise<SafetensorsHeader> {
  const { handle, sizeBytes } = await openRegularFile(file, links);
  try {
    const prefix = new Uint8Array(Math.min(8, sizeBytes));
    await readExactly(handle, file, prefix, 0);
    const header = new Uint8Array(headerLength(prefix, file, sizeBytes, limits));
    await readExactly(handle, file, header, 8);
    return parseHeader(header, file, sizeBytes, limits);
  } finally {
    await handle.close();
  }
}

/** The same for a file that is in memory as a whole. `file` is for messages. */
export function parseSafetensors(content: Uint8Array, file: string, limits: HeaderLimits): SafetensorsHeader {
  const length = headerLength(content.subarray(0, 8), file, content.length, limits);
  return parseHeader(content.subarray(8, 8 + length), file, content.length, limits);
}
