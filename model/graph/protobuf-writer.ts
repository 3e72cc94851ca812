const TAG_VARINT = 0;
const TAG_BYTES = 2;
const TAG_FIXED32 = 5;

/**
 * Writes protocol-buffer messages: the few wire types that ONNX models need.
 * Source: the encoding page of protobuf.dev. Negative integers are written as ten-byte two's complement, as int64 asks.
 */
export class ProtobufWriter {
  readonly #chunks: Uint8Array[] = [];

  integer(field: number, value: number | bigint): this {
    this.#varint((field << 3) | TAG_VARINT);
    this.#varint(value);
    return this;
  }

  float(field: number, value: number): this {
    this.#varint((field << 3) | TAG_FIXED32);
    this.#chunks.push(new Uint8Array(new Float32Array([value]).buffer));
    return this;
  }

  text(field: number, value: string): this {
    return this.bytes(field, new TextEncoder().encode(value));
  }

  bytes(field: number, value: Uint8Array): this {
    this.#varint((field << 3) | TAG_BYTES);
    this.#varint(value.byteLength);
    this.#chunks.push(value);
    return this;
  }

  message(field: number, value: ProtobufWriter): this {
    return this.bytes(field, value.finish());
  }

  finish(): Uint8Array {
    return Buffer.concat(this.#chunks);
  }

  #varint(value: number | bigint): void {
    const bytes: number[] = [];
    let rest = BigInt.asUintN(64, BigInt(value));
    while (rest >= 0x80n) {
      bytes.push(Number(rest & 0x7fn) | 0x80);
      rest >>= 7n;
    }
    bytes.push(Number(rest));
    this.#chunks.push(Uint8Array.from(bytes));
  }
}
