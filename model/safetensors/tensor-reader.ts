import type { FileHandle } from "node:fs/promises";
import { type Bytes, MIB } from "#kernel";
import { fileFault, openRegularFile, readExactly } from "../files/index.ts";
import { convertToFloat32, FLOAT_BYTES, type FloatType, findNotFinite } from "./float-values.ts";
import { shortName } from "./header.ts";

/** Large enough that a read's fixed cost does not count, small enough to stay in the cache for the scan. A multiple of every type's size. */
const PIECE_BYTES = 4 * MIB;

/** A float tensor in a file whose range has been checked against it. */
export interface FloatTensor {
  readonly name: string;
  readonly file: string;
  readonly type: FloatType;
  readonly offsetBytes: Bytes;
  readonly sizeBytes: Bytes;
}

/** Values of one tensor as float32, row-major, in memory of its own. Faults: weights_not_finite, and file_malformed when the file has shrunk. */
export async function readTensorFloat32(tensor: FloatTensor): Promise<Float32Array<ArrayBuffer>> {
  const { handle } = await openRegularFile(tensor.file, "follow");
  try {
    const values = new Float32Array(tensor.sizeBytes / FLOAT_BYTES[tensor.type]);
    await forEachPiece(handle, tensor, (piece, offsetBytes) => {
      checkFinite(tensor, piece, offsetBytes);
      convertToFloat32(tensor.type, piece, values, offsetBytes / FLOAT_BYTES[tensor.type]);
    });
    return values;
  } finally {
    await handle.close();
  }
}

/** Reads a range in pieces that are aligned for any type and valid until `visit` returns; `offsetBytes` counts from the range's start. */
export async function forEachPiece(
  handle: FileHandle,
  range: { readonly file: string; readonly offsetBytes: Bytes; readonly sizeBytes: Bytes },
  visit: (piece: Uint8Array, offsetBytes: Bytes) => void,
): Promise<void> {
  const buffer = new Uint8Array(Math.min(PIECE_BYTES, range.sizeBytes));
  for (let done = 0; done < range.sizeBytes; done += buffer.length) {
    const piece = buffer.subarray(0, Math.min(buffer.length, range.sizeBytes - done));
    await readExactly(handle, range.file, piece, range.offsetBytes + done);
    visit(piece, done);
  }
}

/** Fault weights_not_finite when a piece of the tensor holds NaN or an infinity. */
export function checkFinite(tensor: Pick<FloatTensor, "name" | "file" | "type">, piece: Uint8Array, offsetBytes: Bytes = 0): void {
  const found = findNotFinite(tensor.type, piece);
  if (found === undefined) return;
  const name = shortName(tensor.name);
  const index = offsetBytes / FLOAT_BYTES[tensor.type] + found;
  throw fileFault("weights_not_finite", tensor.file, `tensor ${name}: NaN or an infinity at value ${index}`, { field: name });
}
