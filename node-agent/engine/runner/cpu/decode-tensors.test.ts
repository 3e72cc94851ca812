import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, expect, test } from "vitest";
import { seededRandom } from "#kernel";
import { BLOCK_TOKENS } from "#model";
import type { WeightFormat } from "../../compute.ts";
import { createTinyCheckpoint, createTinyDelta, TINY_CONFIGS } from "../tiny-checkpoint.ts";
import { type DenseRunner, openCpuRunner } from "./cpu-runner.ts";

const directory = await mkdtemp(path.join(tmpdir(), "decode-"));
afterAll(() => rm(directory, { recursive: true }));

const PROMPT_TOKENS = BLOCK_TOKENS - 4;
const STEPS = 24;
const LIMITS = { rowsMax: 4, kvTokensMax: 1024, slotsMax: 4, tableRanksMax: 64 };

test.each<WeightFormat>(["float32", "int8"])(
  "%s: a text is the same whichever texts, with whichever deltas, step beside it",
  async (weights) => {
    const random = seededRandom(31);
    const checkpoint = await createTinyCheckpoint(path.join(directory, weights), TINY_CONFIGS.qwen2, random);
    const deltas = [8, 4].map((rank) => createTinyDelta(checkpoint, rank, random));
    const open = () => openCpuRunner(checkpoint, { limits: LIMITS, threads: 1, compute: { provider: "cpu", weights } });
    const texts = [undefined, 0, 1, 0].map((delta) => {
      const tokens = Array.from({ length: PROMPT_TOKENS + STEPS }, () => random.below(checkpoint.config.vocabularySize));
      return { delta, tokens, done: 0, logits: [] as Float32Array[] };
    });
    /** The next tokens of some of the texts, in one step. */
    const step = async (
      runner: DenseRunner,
      running: readonly { text: (typeof texts)[number]; row: number; slots: readonly number[] }[],
    ) => {
      const logits = await runner.run(
        running.map(({ text, row, slots }) => {
          const next = text.tokens.slice(text.done, text.done === 0 ? PROMPT_TOKENS : text.done + 1);
          text.done += next.length;
          return { row, tokens: next, slot: text.delta === undefined ? undefined : slots[text.delta]!, logits: "last" as const };
        }),
      );
      return logits.map((values) => values.slice()); // Valid until the next step.
    };

    await using alone = await open();
    const ownSlots = deltas.map((delta) => alone.attach(delta)!);
    const expected: Float32Array[][] = [];
    for (const text of texts) {
      const row = alone.open(text.tokens.length)!;
      const own: Float32Array[] = [];
      while (text.done < text.tokens.length) own.push(...(await step(alone, [{ text, row, slots: ownSlots }])));
      expected.push(own);
      alone.close(row);
      text.done = 0;
    }

    await using together = await open();
    const slots = deltas.map((delta) => together.attach(delta)!);
    const rows = texts.map((text) => ({ text, row: together.open(text.tokens.length)!, slots }));
    for (let turn = 0; ; turn++) {
      // Mostly the same texts as in the step before, so that tensors are used again; now and then others.
      const left = rows.filter(({ text }, index) => text.done < text.tokens.length && (turn % 8 < 5 || index % 2 === turn % 2));
      if (rows.every(({ text }) => text.done === text.tokens.length)) break;
      if (left.length === 0) continue;
      for (const [index, logits] of (await step(together, left)).entries()) left[index]!.text.logits.push(logits);
    }
    for (const [index, { logits }] of texts.entries()) {
      expect(logits.length).toBe(STEPS + 1);
      const difference = logits.map((values, at) => Math.max(...values.map((value, id) => Math.abs(value - expected[index]![at]![id]!))));
      expect(Math.max(...difference)).toBeLessThan(1e-4);
    }
  },
);

test("a text that takes over the place of another has its own delta", async () => {
  const random = seededRandom(32);
  const checkpoint = await createTinyCheckpoint(path.join(directory, "places"), TINY_CONFIGS.qwen2, random);
  const deltas = [0, 1].map(() => createTinyDelta(checkpoint, 8, random));
  /** One text after the other: what each thinks of its fourth token. */
  const logitsOf = async (order: readonly number[]) => {
    await using runner = await openCpuRunner(checkpoint, { limits: LIMITS, threads: 1 });
    const slots = deltas.map((delta) => runner.attach(delta)!);
    const logits: Float32Array[] = [];
    for (const delta of order) {
      const row = runner.open(4)!;
      await runner.run([{ row, tokens: [1, 2], slot: slots[delta], logits: "last" }]);
      logits.push((await runner.run([{ row, tokens: [3], slot: slots[delta], logits: "last" }]))[0]!.slice());
      runner.close(row);
    }
    return logits;
  };
  const [[one], [other]] = [await logitsOf([0]), await logitsOf([1])];
  expect(one).not.toEqual(other);
  expect(await logitsOf([0, 1, 0])).toEqual([one, other, one]);
});
