import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { convertFromFloat32, convertToFloat32, readTensorFloat32 } from "../safetensors/index.ts";
import { openCheckpoint } from "./open-checkpoint.ts";
import { saveCheckpoint } from "./save-checkpoint.ts";
import { TINY_CONFIGS, tinyTensors, writeTinyCheckpoint } from "./testing/tiny-checkpoint.ts";

let root: string;
beforeAll(async () => {
  root = await mkdtemp(path.join(tmpdir(), "save-checkpoint-"));
});
afterAll(() => rm(root, { recursive: true, force: true }));

test.each(["F32", "F16", "BF16"] as const)("a model of %s is saved as it was opened, tokenizer and all", async (type) => {
  const [source, target] = [path.join(root, type), path.join(root, `${type}-saved`)];
  const tensors = tinyTensors(TINY_CONFIGS.llama).map((tensor) => ({
    ...tensor,
    type,
    data: convertFromFloat32(type, tensor.data as Float32Array<ArrayBuffer>),
  }));
  await writeTinyCheckpoint(source, TINY_CONFIGS.llama, tensors);
  await writeFile(path.join(source, "tokenizer.json"), "{}");
  await writeFile(path.join(source, "model.safetensors.index.json"), "{}");
  const opened = await openCheckpoint(source);
  const values = new Map<string, Float32Array<ArrayBuffer>>();
  for (const [name, tensor] of opened.tensors) values.set(name, await readTensorFloat32(tensor));
  await saveCheckpoint(target, opened, values);
  const again = await openCheckpoint(target);
  for (const [name, tensor] of again.tensors) {
    expect(tensor.type).toBe(type);
    expect(await readTensorFloat32(tensor), name).toEqual(values.get(name));
  }
  expect(await readFile(path.join(target, "tokenizer.json"), "utf8")).toBe("{}");
  await expect(readFile(path.join(target, "model.safetensors.index.json"))).rejects.toThrow();
  values.get("model.norm.weight")![0] = Number.NaN;
  await expect(saveCheckpoint(`${target}-bad`, opened, values)).rejects.toMatchObject({ reason: "weights_not_finite" });
});

test("halves are rounded to the nearest, ties to even", () => {
  const rounded = (type: "F16" | "BF16", value: number) => {
    const stored = convertFromFloat32(type, Float32Array.of(value));
    const back = new Float32Array(1);
    convertToFloat32(type, new Uint8Array(stored.buffer), back, 0);
    return back[0]!;
  };
  // Eight bits of fraction less one: steps of 2⁻⁷ above 1.
  expect([1 + 2 ** -8, 1 + 3 * 2 ** -8, 1 + 2 ** -8 + 2 ** -20, -1 - 2 ** -8].map((value) => rounded("BF16", value))).toEqual([
    1,
    1 + 2 ** -6,
    1 + 2 ** -7,
    -1,
  ]);
  expect([1 + 2 ** -11, 1 + 3 * 2 ** -11, 65_504, 65_520].map((value) => rounded("F16", value))).toEqual([
    1,
    1 + 2 ** -9,
    65_504,
    Infinity,
  ]);
});
