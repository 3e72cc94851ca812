import { crc32 } from "node:zlib";
import type { Bytes } from "#kernel";

/**
 * The file that W&B keeps a run in (`run-<id>.wandb`): LevelDB's log format with a header, and with plain CRC-32 for checksums.
 *
 * A record is cut into chunks so that none crosses a border of 32 KiB blocks:
 * `crc32 of type and payload (4, little endian) · payload length (2) · type (1) · payload`; what is left of a block and cannot
 * hold a chunk's header is zeros. The file's header counts as part of the first block.
 */
export const FILE_HEADER = Uint8Array.of(0x3a, 0x57, 0x26, 0x42, 0xe1, 0xbe, 0x00);

const BLOCK_BYTES: Bytes = 32 * 1024;
const CHUNK_HEADER_BYTES: Bytes = 7;

/** Chunk types: the whole record, or a part of it. */
const FULL = 1;
const FIRST = 2;
const MIDDLE = 3;
const LAST = 4;

/** The bytes to append to a file of `position` bytes. */
export function frameRecord(record: Uint8Array, position: Bytes): Uint8Array {
  const parts: Uint8Array[] = [];
  let offset = position;
  let rest = record;
  for (let first = true, done = false; !done; first = false) {
    const left = BLOCK_BYTES - (offset % BLOCK_BYTES);
    if (left < CHUNK_HEADER_BYTES) {
      parts.push(new Uint8Array(left));
      offset += left;
    }
    const room = BLOCK_BYTES - (offset % BLOCK_BYTES) - CHUNK_HEADER_BYTES;
    const payload = rest.subarray(0, room);
    rest = rest.subarray(payload.length);
    done = rest.length === 0;
    parts.push(frameChunk(payload, first ? (done ? FULL : FIRST) : done ? LAST : MIDDLE));
    offset += CHUNK_HEADER_BYTES + payload.length;
  }
  return Buffer.concat(parts);
}

function frameChunk(payload: Uint8Array, type: number): Uint8Array {
  const chunk = Buffer.alloc(CHUNK_HEADER_BYTES + payload.length);
  chunk.writeUInt16LE(payload.length, 4);
  chunk.writeUInt8(type, 6);
  chunk.set(payload, CHUNK_HEADER_BYTES);
  chunk.writeUInt32LE(crc32(chunk.subarray(6)), 0);
  return chunk;
}

/** A whole record, and the position behind it. */
export interface FramedRecord {
  readonly record: Uint8Array;
  readonly end: Bytes;
}

/** The whole records of a file, up to its end or to what a crash left. Nothing when the file has another header. */
export function* readRecords(file: Uint8Array): Generator<FramedRecord> {
  const bytes = Buffer.from(file.buffer, file.byteOffset, file.byteLength);
  if (!bytes.subarray(0, FILE_HEADER.length).equals(FILE_HEADER)) return;
  let parts: Uint8Array[] = [];
  for (let offset = FILE_HEADER.length; offset + CHUNK_HEADER_BYTES <= bytes.length; ) {
    const left = BLOCK_BYTES - (offset % BLOCK_BYTES);
    if (left < CHUNK_HEADER_BYTES) {
      offset += left;
      continue;
    }
    const end = offset + CHUNK_HEADER_BYTES + bytes.readUInt16LE(offset + 4);
    const type = bytes.readUInt8(offset + 6);
    const begins = type === FULL || type === FIRST;
    if (end > bytes.length || crc32(bytes.subarray(offset + 6, end)) !== bytes.readUInt32LE(offset) || begins !== (parts.length === 0))
      return;
    parts.push(bytes.subarray(offset + CHUNK_HEADER_BYTES, end));
    offset = end;
    if (type === FULL || type === LAST) {
      yield { record: Buffer.concat(parts), end };
      parts = [];
    }
  }
}
