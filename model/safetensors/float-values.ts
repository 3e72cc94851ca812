import { endianness } from "node:os";
import { assert } from "#kernel";

/** The types whose tensors are computed with. */
export type FloatType = "F32" | "F16" | "BF16";

export const FLOAT_BYTES: Readonly<Record<FloatType, number>> = { F32: 4, F16: 2, BF16: 2 };

export function isFloatType(type: string): type is FloatType {
  return type in FLOAT_BYTES;
}

/** All ones in the exponent: NaN or an infinity. */
const EXPONENT_BITS: Readonly<Record<FloatType, number>> = { F32: 0x7f800000, F16: 0x7c00, BF16: 0x7f80 };

/** Where the first NaN or infinity stands among little-endian values, or undefined. `bytes` is aligned to the type. */
export function findNotFinite(type: FloatType, bytes: Uint8Array): number | undefined {
  const exponent = EXPONENT_BITS[type];
  const values = bitPatterns(type, bytes);
  for (let index = 0; index < values.length; index++) {
    if ((values[index]! & exponent) === exponent) return index;
  }
  return undefined;
}

/**
 * Little-endian stored values as float32, exactly (both half types are subsets of it). Writes `bytes`' values to
 * `target` from `start`. `bytes` is aligned to the type.
 */
export function convertToFloat32(type: FloatType, bytes: Uint8Array, target: Float32Array, start: number): void {
  const source = bitPatterns(type, bytes);
  const bits = new Uint32Array(target.buffer, target.byteOffset + start * 4, source.length);
  switch (type) {
    case "F32":
      bits.set(source);
      return;
    case "BF16":
      for (let index = 0; index < source.length; index++) bits[index] = source[index]! << 16;
      return;
    case "F16":
      for (let index = 0; index < source.length; index++) bits[index] = float32Bits(source[index]!);
  }
}

/** Float32 values as they are stored in `type`: to the nearest, ties to even. Too large for a half becomes an infinity. */
export function convertFromFloat32(type: FloatType, values: Float32Array<ArrayBuffer>): ArrayBufferView<ArrayBuffer> {
  assert(endianness() === "LE", "weights are read and written on little-endian machines only");
  switch (type) {
    case "F32":
      return values;
    case "F16":
      return new Float16Array(values);
    case "BF16": {
      const bits = new Uint32Array(values.buffer, values.byteOffset, values.length);
      // Half of the last kept bit, less a whisker where that bit is even: the carry then rounds by itself.
      return Uint16Array.from(bits, (own) => (own + 0x7fff + ((own >>> 16) & 1)) >>> 16);
    }
  }
}

function bitPatterns(type: FloatType, bytes: Uint8Array): Uint32Array | Uint16Array {
  assert(endianness() === "LE", "weights are read and written on little-endian machines only");
  assert(bytes.byteOffset % FLOAT_BYTES[type] === 0, "values are read at aligned offsets");
  return type === "F32"
    ? new Uint32Array(bytes.buffer, bytes.byteOffset, bytes.length / 4)
    : new Uint16Array(bytes.buffer, bytes.byteOffset, bytes.length / 2);
}

/** IEEE 754 binary16 to binary32, as bits. */
function float32Bits(half: number): number {
  const sign = (half & 0x8000) << 16;
  const exponent = (half >> 10) & 0x1f;
  const fraction = half & 0x3ff;
  if (exponent === 0x1f) return sign | 0x7f800000 | (fraction << 13);
  if (exponent !== 0) return sign | ((exponent + 112) << 23) | (fraction << 13);
  if (fraction === 0) return sign;
  // Subnormal: fraction × 2⁻²⁴. Shift its leading one to the place of binary32's implicit one.
  const shift = Math.clz32(fraction) - 21;
  return sign | ((113 - shift) << 23) | (((fraction << shift) & 0x3ff) << 13);
}
