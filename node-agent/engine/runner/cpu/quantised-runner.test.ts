import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { seededRandom } from "#kernel";
import type { Checkpoint, LoadedDelta } from "#model";
import type { WeightFormat } from "../../compute.ts";
import { referenceForward } from "../reference-forward.ts";
import { createTinyCheckpoint, createTinyDelta, steppedRandom, TINY_CONFIGS } from "../tiny-checkpoint.ts";
import { openCpuRunner } from "./cpu-runner.ts";

const LIMITS = { rowsMax: 8, kvTokensMax: 1024, slotsMax: 8, tableRanksMax: 256 };

const directory = await mkdtemp(path.join(tmpdir(), "quantised-"));
afterAll(() => rm(directory, { recursive: true }));

const open = (checkpoint: Checkpoint, weights: WeightFormat) =>
  openCpuRunner(checkpoint, { limits: LIMITS, threads: 1, compute: { provider: "cpu", weights } });

/** How far off logits are, relative to how far they spread: both as root mean squares. */
function relativeError(logits: Float32Array, expected: readonly (readonly number[])[]): number {
  const flat = expected.flat();
  const squares = (values: Iterable<number>) => [...values].reduce((sum, value) => sum + value ** 2, 0);
  expect(logits.length).toBe(flat.length);
  return Math.sqrt(squares(flat.map((value, index) => value - logits[index]!)) / squares(flat));
}

/** What activations in 8 bits do to these models; measured: up to 0.03. */
const ERROR_MAX = 0.05;

describe.each(Object.entries(TINY_CONFIGS))("%s", async (name, config) => {
  const random = seededRandom(5);
  const checkpoint = await createTinyCheckpoint(path.join(directory, name), config, steppedRandom(5));
  const tokens = (count: number) => Array.from({ length: count }, () => random.below(checkpoint.config.vocabularySize));
  const deltas = [createTinyDelta(checkpoint, 8, random), createTinyDelta(checkpoint, 16, random, /0\./)];

  test.each(["int8", "int4"] as const)("%s: rows with deltas of their own, or none, stay close to float32", async (weights) => {
    await using runner = await open(checkpoint, weights);
    const slots = deltas.map((delta) => runner.attach(delta)!);
    const cases = [0, undefined, 1].map((delta) => ({ delta, text: tokens(12), row: runner.open(20)! }));
    const deltaOf = (delta: number | undefined): LoadedDelta | undefined => (delta === undefined ? undefined : deltas[delta]);
    const rows = (from: number, to: number) =>
      cases.map(({ delta, text, row }) => {
        const slot = delta === undefined ? undefined : slots[delta]!;
        return { row, tokens: text.slice(from, to), slot, logits: "last" as const };
      });
    for (const [from, to] of [
      [0, 11],
      [11, 12],
    ] as const) {
      const logits = await runner.run(rows(from, to));
      for (const [index, { delta, text }] of cases.entries()) {
        const expected = (await referenceForward(checkpoint, text.slice(0, to), deltaOf(delta))).at(-1)!;
        expect(relativeError(logits[index]!, [expected])).toBeLessThan(ERROR_MAX);
      }
    }
  });
});

test("weights take as much less memory as their format says", async () => {
  const checkpoint = await createTinyCheckpoint(path.join(directory, "size"), TINY_CONFIGS.gpt2, seededRandom(6));
  const linears = checkpoint.info.linears.reduce((sum, { inputSize, outputSize }) => sum + inputSize * outputSize, 0);
  const weights = async (format: WeightFormat) => {
    await using runner = await open(checkpoint, format);
    return runner.memory.weights;
  };
  const [float32, int8, int4] = [await weights("float32"), await weights("int8"), await weights("int4")];
  expect(int8).toBeLessThan(float32 - 2.5 * linears);
  expect(int4).toBeLessThan(int8);
});

test("float16 weights are refused, with where they are offered", async () => {
  const checkpoint = await createTinyCheckpoint(path.join(directory, "half"), TINY_CONFIGS.qwen2, seededRandom(6));
  await expect(open(checkpoint, "float16")).rejects.toMatchObject({
    reason: "parameter_unsupported",
    message: expect.stringContaining("devices"),
  });
});
