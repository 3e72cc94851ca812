import { join } from "node:path";
import { expect, test } from "vitest";
import { MIB } from "#kernel";
import { deltaSites, openCheckpoint } from "#model";
import { planMemory } from "./memory.ts";
import { TRAINING_DEFAULTS } from "./plan.ts";
import { packExamples } from "./testing/pack-examples.ts";

const checkpoint = await openCheckpoint(join(import.meta.dirname, "../../test/golden/files/llama-gqa-tied/base"));
const delta = { kind: "delta", sites: deltaSites(checkpoint.info, { rank: 4, alpha: 4, rankStabilised: false }) } as const;
const text = (tokens: number) => ({ tokenIds: new Array<number>(tokens).fill(3), weights: new Array<number>(tokens).fill(1) });
const set = await packExamples([text(10), text(33)]);

test("as many places at once as a batch has, or as the memory allows, and always the longest example", () => {
  const plan = { ...TRAINING_DEFAULTS, batchSize: 8 };
  const free = planMemory(checkpoint, delta, plan, [set], 1024 * MIB);
  expect(free.microbatchTokensMax).toBe(8 * 32);
  expect(free.learnedValues).toBe(delta.sites.reduce((sum, { linear }) => sum + 4 * (linear.inputSize + linear.outputSize), 0));
  const tight = planMemory(checkpoint, delta, plan, [set], free.sizeBytes - 1);
  expect(tight.microbatchTokensMax).toBe(4 * 32);
  const least = planMemory(checkpoint, delta, { ...plan, batchSize: 1 }, [set], 1024 * MIB);
  expect(least.microbatchTokensMax).toBe(32);
  expect(() => planMemory(checkpoint, delta, plan, [set], least.sizeBytes - 1)).toThrow(
    expect.objectContaining({ reason: "capacity_exhausted", message: expect.stringContaining("33 tokens") }),
  );
});

test("learning everything takes more", () => {
  const size = (trainable: Parameters<typeof planMemory>[1]) =>
    planMemory(checkpoint, trainable, TRAINING_DEFAULTS, [set], 1024 * MIB).sizeBytes;
  expect(size({ kind: "full" })).toBeGreaterThan(size(delta));
});
