import { mkdtemp } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { expect, test } from "vitest";
import { convertToFloat32, type FloatType } from "./float-values.ts";
import { BASE_HEADER_LIMITS } from "./header.ts";
import { readSafetensorsHeader } from "./header-file.ts";
import { type FloatTensor, readTensorFloat32 } from "./tensor-reader.ts";
import { writeSafetensors } from "./writer.ts";

async function roundTrip(type: FloatType, data: ArrayBufferView, count: number): Promise<Float32Array> {
  const file = path.join(await mkdtemp(path.join(tmpdir(), "tensor-")), "model.safetensors");
  const odd = { name: "odd", type: "U8", shape: [3], data: new Uint8Array(3) } as const; // Moves the next tensor off any alignment.
  await writeSafetensors(file, [odd, { name: "w", type, shape: [count], data }]);
  const { tensors } = await readSafetensorsHeader(file, BASE_HEADER_LIMITS);
  return readTensorFloat32(tensors.get("w") as FloatTensor);
}

test("every finite half-precision value is converted exactly", async () => {
  const halves = new Uint16Array(65_536).map((_, bits) => bits).filter((bits) => (bits & 0x7c00) !== 0x7c00);
  const native = new Float16Array(halves.buffer);
  const read = await roundTrip("F16", halves, halves.length);
  expect(read.every((value, index) => Object.is(value, native[index]))).toBe(true);
});

test("every finite bfloat16 value is the upper half of a float32", async () => {
  const halves = new Uint16Array(65_536).map((_, bits) => bits).filter((bits) => (bits & 0x7f80) !== 0x7f80);
  const read = await roundTrip("BF16", halves, halves.length);
  expect(new Uint32Array(read.buffer).every((bits, index) => bits === (halves[index]! << 16) >>> 0)).toBe(true);
});

test("a tensor of several pieces arrives whole", async () => {
  const values = new Float32Array(2_500_000).map((_, index) => Math.sin(index));
  expect(Buffer.from((await roundTrip("F32", values, values.length)).buffer).equals(Buffer.from(values.buffer))).toBe(true);
});

test.each<[FloatType, ArrayBufferView]>([
  ["F32", new Float32Array([1, 2, Number.NaN])],
  ["F32", new Float32Array([1, 2, Number.NEGATIVE_INFINITY])],
  ["F16", new Uint16Array([0, 0x7bff, 0x7c00])],
  ["F16", new Uint16Array([0, 0x7bff, 0xfe01])],
  ["BF16", new Uint16Array([0, 0x7f7f, 0xff80])],
  ["BF16", new Uint16Array([0, 0x7f7f, 0x7fc0])],
])("%s that is not finite is refused by tensor, file and place", async (type, data) => {
  await expect(roundTrip(type, data, 3)).rejects.toThrow("model.safetensors: tensor w: NaN or an infinity at value 2");
});

test("conversion writes where it is told to", () => {
  const target = new Float32Array(4);
  convertToFloat32("BF16", new Uint8Array(new Uint16Array([0x3f80, 0x4000]).buffer), target, 1);
  expect([...target]).toEqual([0, 1, 2, 0]);
});
