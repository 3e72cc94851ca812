import type { DeltaLayer } from "../delta.ts";
import { checkFinite, convertToFloat32, FLOAT_BYTES } from "../safetensors/index.ts";
import { type DeltaTensor, type TensorPair, tensorFault } from "./delta-tensors.ts";

/**
 * No trained delta comes near. The bound protects the neighbours: in packed tables every row of a batch is multiplied
 * with every delta's A before the other tenants' columns are set to zero, and zero times an overflow would be NaN.
 */
const MAGNITUDE_MAX = 10_000;

/** Without their sign, float32 values compare like their bits; NaN and the infinities are above all numbers. */
const MAGNITUDE_BITS = 0x7fffffff;
const MAGNITUDE_MAX_BITS = new Uint32Array(Float32Array.of(MAGNITUDE_MAX).buffer)[0]!;

/**
 * The values of a delta's layers as float32. What the file has as float32 stays where it lies: `content`, the whole file, becomes the
 * delta's memory, and B is turned round in its place. Faults: weights_not_finite, file_malformed.
 */
export function* layerValues(pairs: readonly TensorPair[], content: Uint8Array<ArrayBuffer>): Generator<DeltaLayer> {
  const stored = new Float32Array(Math.max(...pairs.map(({ target }) => target.linear.outputSize * target.rank)));
  for (const { target, a, b } of pairs) {
    const { linear, rank, scale } = target;
    const values = { a: checkedValues(a, content), b: checkedValues(b, content) };
    stored.set(values.b);
    transpose(stored, linear.outputSize, rank, scale, values.b);
    yield { site: linear.site, rank, ...values };
  }
}

/** A view of the file where type and alignment permit, else a copy. */
function checkedValues(tensor: DeltaTensor, content: Uint8Array<ArrayBuffer>): Float32Array<ArrayBuffer> {
  const values = storedValues(tensor, content);
  const bits = new Uint32Array(values.buffer, values.byteOffset, values.length);
  for (let index = 0; index < bits.length; index++) {
    if ((bits[index]! & MAGNITUDE_BITS) <= MAGNITUDE_MAX_BITS) continue;
    checkFinite({ ...tensor, type: "F32" }, new Uint8Array(values.buffer, values.byteOffset, values.byteLength));
    throw tensorFault("file_malformed", tensor.name, `value ${values[index]} is beyond ±${MAGNITUDE_MAX}`);
  }
  return values;
}

function storedValues(tensor: DeltaTensor, content: Uint8Array<ArrayBuffer>): Float32Array<ArrayBuffer> {
  const start = content.byteOffset + tensor.offsetBytes;
  const count = tensor.sizeBytes / FLOAT_BYTES[tensor.type];
  if (tensor.type === "F32" && start % Float32Array.BYTES_PER_ELEMENT === 0) return new Float32Array(content.buffer, start, count);
  const values = new Float32Array(count);
  convertToFloat32(tensor.type, new Uint8Array(content.buffer.slice(start, start + tensor.sizeBytes)), values, 0);
  return values;
}

/** [rows, columns] to [columns, rows], times `scale`. */
function transpose(values: Float32Array, rows: number, columns: number, scale: number, result: Float32Array): void {
  for (let column = 0; column < columns; column++) {
    const start = column * rows;
    for (let row = 0, from = column; row < rows; row++, from += columns) result[start + row] = values[from]! * scale;
  }
}
