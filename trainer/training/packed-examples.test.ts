import fc from "fast-check";
import { expect, test } from "vitest";
import type { Example } from "./example.ts";
import { exampleParts } from "./packed-examples.ts";
import { packExamples } from "./testing/pack-examples.ts";

const example: fc.Arbitrary<Example> = fc
  .array(fc.tuple(fc.nat(100_000), fc.constantFrom(0, 0.25, 1)), { minLength: 1, maxLength: 50 })
  .map((tokens) => ({ tokenIds: tokens.map(([tokenId]) => tokenId), weights: tokens.map(([, weight]) => weight) }));

test("packed and taken out again, examples are what they were", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(example), async (examples) => {
      const packed = await packExamples(examples);
      expect([...packed]).toEqual(examples);
      expect(packed.count).toBe(examples.length);
      expect(packed.lengths).toEqual(examples.map(({ tokenIds }) => tokenIds.length));
      expect(packed.digest()).toBe((await packExamples(examples)).digest());
    }),
  );
});

test("a large set travels in parts of about 256 KiB, and its digest does not depend on them", async () => {
  const many = Array.from({ length: 500 }, (_, index) => ({ tokenIds: new Array(256).fill(index), weights: new Array(256).fill(1) }));
  const parts = await Array.fromAsync(exampleParts(many));
  expect(parts.map(({ lengths }) => lengths.length)).toEqual([128, 128, 128, 116]);
  const [first] = many;
  expect((await packExamples(many)).digest()).not.toBe(
    (await packExamples([{ ...first!, weights: first!.weights.with(3, 0) }, ...many.slice(1)])).digest(),
  );
});
