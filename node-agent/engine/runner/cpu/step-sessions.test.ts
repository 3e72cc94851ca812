import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, expect, test } from "vitest";
import { GIB, MIB, seededRandom } from "#kernel";
import type { WeightFormat } from "../../compute.ts";
import { createTinyCheckpoint, createTinyDelta, TINY_CONFIGS } from "../tiny-checkpoint.ts";
import { openCpuRunner } from "./cpu-runner.ts";
import { weightCopies } from "./weight-copies.ts";

const LIMITS = { rowsMax: 4, kvTokensMax: 512, slotsMax: 2, tableRanksMax: 16 };
const TEXT = Array.from({ length: 70 }, (_, index) => (index * 37 + 5) % 64);

const directory = await mkdtemp(path.join(tmpdir(), "sessions-"));
afterAll(() => rm(directory, { recursive: true }));

const random = seededRandom(13);
const checkpoint = await createTinyCheckpoint(path.join(directory, "biased"), TINY_CONFIGS.qwen2, random);
const delta = createTinyDelta(checkpoint, 8, random);

/** The last logits of texts that run together: a prompt, then a token. */
async function lastLogits(weights: WeightFormat, copies: 1 | 2, withDelta: readonly boolean[]): Promise<Float32Array[]> {
  await using runner = await openCpuRunner(checkpoint, { limits: LIMITS, threads: 1, compute: { provider: "cpu", weights } }, copies);
  const slot = runner.attach(delta);
  const rows = withDelta.map((own) => ({ row: runner.open(TEXT.length)!, slot: own ? slot : undefined, logits: "last" as const }));
  await runner.run(rows.map((row) => ({ ...row, tokens: TEXT.slice(0, -1) })));
  const logits = await runner.run(rows.map((row) => ({ ...row, tokens: TEXT.slice(-1) })));
  return logits.map((each) => each.slice());
}

test.each(["float32", "int8", "int4"] as const)(
  "%s: one session for all steps, or one for each kind, compute the same to the bit",
  async (weights) => {
    for (const rows of [[false], [true], [true, false]]) {
      expect(await lastLogits(weights, 2, rows)).toEqual(await lastLogits(weights, 1, rows));
    }
  },
);

test("int8: a text without a delta has the same logits, to the bit, alone and beside one that has a delta", async () => {
  const [alone] = await lastLogits("int8", 2, [false]);
  const [, beside] = await lastLogits("int8", 2, [true, false]);
  expect(beside).toEqual(alone);
});

test("weights are held twice where they are small", async () => {
  expect(weightCopies({ parameterCount: 64 * MIB }, "float32")).toBe(2);
  expect(weightCopies({ parameterCount: 65 * MIB }, "float32")).toBe(1);
  expect(weightCopies({ parameterCount: 65 * MIB }, "int8")).toBe(2);
  expect(weightCopies({ parameterCount: GIB }, "int4")).toBe(1);
  const weightsOf = async (copies: 1 | 2) => {
    await using runner = await openCpuRunner(checkpoint, { limits: LIMITS, threads: 1 }, copies);
    return runner.memory.weights;
  };
  expect(await weightsOf(2)).toBe(2 * (await weightsOf(1)));
});
