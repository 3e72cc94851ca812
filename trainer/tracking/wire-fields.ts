import { BinaryReader, type WireType } from "@bufbuild/protobuf/wire";

/** A field of a protocol-buffer message: bytes where it has a length, else the bytes of its number. */
export interface WireField {
  readonly number: number;
  readonly type: WireType;
  readonly value: Uint8Array;
}

/** The fields of a message in order, without a schema. @throws when the bytes are no message */
export function* wireFields(message: Uint8Array): Generator<WireField> {
  const reader = new BinaryReader(message);
  while (reader.pos < reader.len) {
    const [number, type] = reader.tag();
    const raw = reader.skip(type, number);
    yield { number, type, value: type === 2 ? new BinaryReader(raw).bytes() : raw };
  }
}

/** The last field of that number, as protocol buffers read a field that is not repeated. */
export function wireField(message: Uint8Array, number: number): Uint8Array | undefined {
  return wireFields(message)
    .filter((field) => field.number === number)
    .reduce<Uint8Array | undefined>((_, field) => field.value, undefined);
}
