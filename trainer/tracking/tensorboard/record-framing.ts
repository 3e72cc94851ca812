import type { Bytes } from "#kernel";
import { maskedCrc32c } from "../crc32c.ts";

/**
 * A record of TensorFlow's record files: `length (u64) · masked CRC-32C of the length (u32) · data · masked CRC-32C of the data
 * (u32)`, little endian.
 */
export function frameRecord(data: Uint8Array): Uint8Array {
  const frame = Buffer.alloc(data.length + 16);
  frame.writeBigUInt64LE(BigInt(data.length), 0);
  frame.writeUInt32LE(maskedCrc32c(frame.subarray(0, 8)), 8);
  frame.set(data, 12);
  frame.writeUInt32LE(maskedCrc32c(data), 12 + data.length);
  return frame;
}

/** The whole records of a file and the position behind each, up to its end or to what a crash left. */
export function* readRecords(file: Uint8Array): Generator<{ readonly data: Uint8Array; readonly end: Bytes }> {
  const bytes = Buffer.from(file.buffer, file.byteOffset, file.byteLength);
  for (let offset = 0; offset + 16 <= bytes.length; ) {
    const length = bytes.readBigUInt64LE(offset);
    if (maskedCrc32c(bytes.subarray(offset, offset + 8)) !== bytes.readUInt32LE(offset + 8) || length > bytes.length) return;
    const dataEnd = offset + 12 + Number(length);
    if (dataEnd + 4 > bytes.length) return;
    const data = bytes.subarray(offset + 12, dataEnd);
    if (maskedCrc32c(data) !== bytes.readUInt32LE(dataEnd)) return;
    offset = dataEnd + 4;
    yield { data, end: offset };
  }
}
