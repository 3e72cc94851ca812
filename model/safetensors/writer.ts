import { open, rename } from "node:fs/promises";
import { assert } from "#kernel";
import { type StoredType, storedSize } from "./header.ts";

/** A tensor to be stored: `data` are its values, row-major and little-endian, as many bytes as type and shape ask for. */
export interface TensorToWrite {
  readonly name: string;
  readonly type: StoredType;
  readonly shape: readonly number[];
  readonly data: ArrayBufferView;
}

/**
 * Writes a safetensors file, tensors in the given order. The file appears complete or not at all; two writers of the
 * same name must not run at once. The header is padded so that the data is aligned to 64 bytes.
 */
export async function writeSafetensors(
  file: string,
  tensors: readonly TensorToWrite[],
  metadata: Readonly<Record<string, string>> = {},
): Promise<void> {
  const partial = `${file}.partial`;
  const handle = await open(partial, "w");
  try {
    await writeFully(encodeHeader(tensors, metadata));
    for (const { data } of tensors) await writeFully(new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
    await handle.sync();
  } finally {
    await handle.close();
  }
  await rename(partial, file);

  async function writeFully(bytes: Uint8Array): Promise<void> {
    for (let done = 0; done < bytes.length; ) {
      const { bytesWritten } = await handle.write(bytes, done, Math.min(bytes.length - done, 1 << 30));
      done += bytesWritten;
    }
  }
}

/** Length and header: everything before the first value. */
export function encodeHeader(tensors: readonly TensorToWrite[], metadata: Readonly<Record<string, string>> = {}): Uint8Array {
  const entries: [string, unknown][] = Object.keys(metadata).length > 0 ? [["__metadata__", metadata]] : [];
  const names = new Set<string>(["__metadata__"]);
  let end = 0;
  for (const { name, type, shape, data } of tensors) {
    assert(!names.has(name), `tensor ${name} is written twice`);
    assert(data.byteLength === storedSize(type, shape), `tensor ${name} has data of another size than its shape`);
    names.add(name);
    entries.push([name, { dtype: type, shape, data_offsets: [end, end + data.byteLength] }]);
    end += data.byteLength;
  }
  const json = Buffer.from(`{${entries.map(([name, value]) => `${JSON.stringify(name)}:${JSON.stringify(value)}`).join(",")}}`);
  const length = Math.ceil((8 + json.length) / 64) * 64 - 8;
  const header = Buffer.alloc(8 + length, " ");
  header.writeBigUInt64LE(BigInt(length));
  json.copy(header, 8);
  return header;
}
