import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type GoldenPrompt, type GoldenVariant, goldenCases, readGoldenCase } from "./golden-case.ts";
import { type Answer, answer, distance, type OpenCase, openCase } from "./golden-runner.ts";

/** The promise: logits in float32 differ from the reference's by no more. */
const TOLERANCE = 1e-4;

describe.each(await goldenCases())("%s", async (name) => {
  const golden = await readGoldenCase(name);
  const both = [0, 1].flatMap((index) => golden.variants.map((variant) => ({ variant, prompt: variant.prompts[index]! })));
  let open: OpenCase;
  beforeAll(async () => {
    open = await openCase(golden);
  });
  afterAll(() => open?.[Symbol.asyncDispose]());

  const ask = ({ variant, prompt }: { variant: GoldenVariant; prompt: GoldenPrompt }) => ({ slot: open.slots.get(variant), prompt });

  test("the case has the base and eight deltas", () => {
    expect(golden.variants.map(({ deltaDirectory }) => deltaDirectory === undefined)).toEqual([true, ...Array(8).fill(false)]);
  });

  test.each(golden.variants)("$name alone: logits and 64 greedy tokens of the reference", async (variant) => {
    for (const prompt of variant.prompts) {
      const [alone] = await answer(open.runner, [ask({ variant, prompt })]);
      expectReference(alone!, prompt);
    }
  });

  test.each([
    { name: "short and long prompts alternating", lengths: (index: number) => index % 2 },
    { name: "long and short prompts alternating", lengths: (index: number) => (index + 1) % 2 },
  ])("eight deltas and the base in one batch, $name: each row as the reference has it alone", async ({ lengths }) => {
    const rows = golden.variants.map((variant, index) => ({ variant, prompt: variant.prompts[lengths(index)]! }));
    const answers = await answer(open.runner, rows.map(ask));
    for (const [index, { prompt }] of rows.entries()) expectReference(answers[index]!, prompt);
  });

  test("two rows of every delta and of the base in one batch", async () => {
    const answers = await answer(open.runner, both.map(ask));
    for (const [index, { prompt }] of both.entries()) expectReference(answers[index]!, prompt);
  });

  test.each([1, 7, 16, 64])("prefill in chunks of %i equals prefill in one step", async (chunkTokens) => {
    const rows = both.filter(({ prompt }) => prompt.kind === "long").map(ask);
    const whole = await answer(open.runner, rows, 1);
    const chunked = await answer(
      open.runner,
      rows.map((row, index) => (index % 2 === 0 ? { ...row, chunkTokens } : row)), // Next to rows that already decode.
      1,
    );
    for (const [index, one] of whole.entries()) {
      expect(distance(one.promptLogits, chunked[index]!.promptLogits)).toBeLessThan(TOLERANCE);
      expect(chunked[index]!.greedy).toEqual(one.greedy);
    }
  });

  test("other texts in the neighbouring rows change no bit of a row", async () => {
    const [row, ...neighbours] = golden.variants.map((variant) => ask({ variant, prompt: variant.prompts[1]! }));
    const reversed = neighbours.map(({ slot, prompt }) => ({ slot, prompt: { tokens: prompt.tokens.toReversed() } }));
    const [one] = await answer(open.runner, [row!, ...neighbours], 16);
    const [other] = await answer(open.runner, [row!, ...reversed], 16);
    expect(distance(one!.promptLogits, other!.promptLogits)).toBe(0);
    expect(distance(one!.finalLogits, other!.finalLogits)).toBe(0);
  });
});

function expectReference({ promptLogits, greedy, finalLogits }: Answer, prompt: GoldenPrompt): void {
  expect(distance(promptLogits.slice(-prompt.promptLogits.length), prompt.promptLogits)).toBeLessThan(TOLERANCE);
  expect(greedy).toEqual(prompt.greedy);
  expect(distance(finalLogits, prompt.finalLogits)).toBeLessThan(TOLERANCE);
}
