import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Tokenizer } from "tokenizers";
import { afterAll, beforeAll, expect, test } from "vitest";
import { seededRandom } from "#kernel";
import { openCheckpoint } from "#model";
import { generatedBase, generatedDeltas } from "./generated-model.ts";
import { type GeneratedShape, SHAPE_32M, SHAPE_124M } from "./generated-shapes.ts";
import { generatedPrompt, generatedTokenizer } from "./generated-tokenizer.ts";

let cache: string;
beforeAll(async () => {
  cache = await mkdtemp(join(tmpdir(), "bench-"));
});
afterAll(() => rm(cache, { recursive: true }));

const small = (shape: GeneratedShape): GeneratedShape => ({
  ...shape,
  layerCount: 1,
  hiddenSize: 16,
  headCount: 4,
  kvHeadCount: shape.family === "gpt2" ? 4 : 2,
  intermediateSize: 32,
  vocabularySize: 300,
});

test.each([SHAPE_32M, SHAPE_124M])("a generated $family folder opens as a base, and its deltas fit it", async (shape) => {
  const directory = await generatedBase(cache, small(shape));
  const { info } = await openCheckpoint(directory);
  expect(info.architecture).toBe(shape.family);
  expect(info.eosTokenIds).toEqual([]);
  const [one, other] = await generatedDeltas(cache, info, { rank: 4, count: 2 });
  expect(one).not.toBe(other);
});

test("the same parameters give the same folder, other parameters another", async () => {
  const shape = small(SHAPE_32M);
  const directory = await generatedBase(cache, shape);
  expect(await generatedBase(cache, shape)).toBe(directory);
  expect(await generatedBase(cache, shape, 2)).not.toBe(directory);
});

test.each([8192, 50257])(
  "a tokenizer of %i entries turns prompts into as many tokens as asked for, and any text back into itself",
  async (size) => {
    const tokenizer = Tokenizer.fromString(JSON.stringify(generatedTokenizer(size)));
    expect(tokenizer.getVocabSize()).toBe(size);
    const prompt = generatedPrompt(64, seededRandom(7));
    expect((await tokenizer.encode(prompt)).getIds()).toHaveLength(64);
    for (const text of [prompt, "Grüße, 你好!\n\tabcd abcde"]) {
      const ids = (await tokenizer.encode(text)).getIds();
      expect(await tokenizer.decode(ids, false)).toBe(text);
    }
  },
);
