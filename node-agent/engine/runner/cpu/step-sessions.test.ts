import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { GIB, MIB, seededRandom } from "#kernel";
import type { WeightFormat } from "../../compute.ts";
import { createTinyCheckpoint, createTinyDelta, TINY_CONFIGS } from "../tiny-checkpoint.ts";
import { openCpuRunner } from "./cpu-runner.ts";
import { type WeightCopies, weightCopies } from "./weight-copies.ts";

const LIMITS = { rowsMax: 4, kvTokensMax: 512, slotsMax: 3, tableRanksMax: 40 };
const TEXT = Array.from({ length: 70 }, (_, index) => (index * 37 + 5) % 64);

const directory = await mkdtemp(path.join(tmpdir(), "sessions-"));
afterAll(() => rm(directory, { recursive: true }));

const random = seededRandom(13);
const checkpoint = await createTinyCheckpoint(path.join(directory, "biased"), TINY_CONFIGS.qwen2, random);
/** Two of one width, and one that needs half of it. */
const deltas = [16, 16, 5].map((rank) => createTinyDelta(checkpoint, rank, random));

/** The last logits of texts that run together, each with the given one of the deltas or none: a prompt, then a token. */
async function lastLogits(weights: WeightFormat, copies: WeightCopies, own: readonly (number | undefined)[]): Promise<Float32Array[]> {
  await using runner = await openCpuRunner(checkpoint, { limits: LIMITS, threads: 1, compute: { provider: "cpu", weights } }, copies);
  const slots = deltas.map((delta) => runner.attach(delta)!);
  const rows = own.map((delta, index) => ({
    row: runner.open(TEXT.length)!,
    slot: delta === undefined ? undefined : slots[delta]!,
    text: TEXT.map((token) => (token + index) % 64),
    logits: "last" as const,
  }));
  await runner.run(rows.map(({ text, ...row }) => ({ ...row, tokens: text.slice(0, -1) })));
  const logits = await runner.run(rows.map(({ text, ...row }) => ({ ...row, tokens: text.slice(-1) })));
  return logits.map((each) => each.slice());
}

const STEPS: readonly (readonly [string, readonly (number | undefined)[]])[] = [
  ["no delta", [undefined]],
  ["one delta", [0]],
  ["one delta for two", [1, 1]],
  ["a delta each, in another order than in the tables", [1, 0]],
  ["two deltas for two each, mixed", [1, 0, 0, 1]],
  ["unequal shares", [0, 1, 0]],
  ["a delta beside none", [0, undefined]],
  ["half a chunk", [2, 0]],
];

describe.each(["float32", "int8", "int4"] as const)("%s", (weights) => {
  test.each(STEPS)("%s: the same to the bit whichever sessions there are", async (_, own) => {
    const expected = await lastLogits(weights, 1, own);
    expect(await lastLogits(weights, 2, own)).toEqual(expected);
    expect(await lastLogits(weights, 3, own)).toEqual(expected);
  });
});

test("int8: a text without a delta has the same logits, to the bit, alone and beside one that has a delta", async () => {
  const [alone] = await lastLogits("int8", 3, [undefined]);
  const [beside] = await lastLogits("int8", 3, [undefined, 0]);
  expect(beside).toEqual(alone);
});

test("weights are held more often the smaller they are", async () => {
  expect(weightCopies({ parameterCount: 32 * MIB }, "float32")).toBe(3);
  expect(weightCopies({ parameterCount: 33 * MIB }, "float32")).toBe(2);
  expect(weightCopies({ parameterCount: 64 * MIB }, "float32")).toBe(2);
  expect(weightCopies({ parameterCount: 65 * MIB }, "float32")).toBe(1);
  expect(weightCopies({ parameterCount: 65 * MIB }, "int8")).toBe(3);
  expect(weightCopies({ parameterCount: GIB }, "int4")).toBe(1);
  const weightsOf = async (copies: WeightCopies) => {
    await using runner = await openCpuRunner(checkpoint, { limits: LIMITS, threads: 1 }, copies);
    return runner.memory.weights;
  };
  const once = await weightsOf(1);
  expect(await weightsOf(2)).toBe(2 * once);
  expect(await weightsOf(3)).toBe(3 * once);
});
