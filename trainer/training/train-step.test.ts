import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { seededRandom } from "#kernel";
import { deltaSites, openCheckpoint, type Trainable } from "#model";
import { gradientNorm } from "./adamw.ts";
import { packBatch } from "./batches.ts";
import type { Example } from "./example.ts";
import { openGradientSession } from "./gradient-session.ts";
import { initialValues } from "./initial-values.ts";
import { TRAINING_DEFAULTS } from "./plan.ts";
import { trainStep } from "./train-step.ts";
import { currentValues, initialState } from "./training-state.ts";

const FILES = join(import.meta.dirname, "../../test/golden/files");

function texts(count: number): readonly Example[] {
  const random = seededRandom(11);
  return Array.from({ length: count }, () => {
    const length = 3 + random.below(20);
    const tokenIds = Array.from({ length }, () => 3 + random.below(60));
    // As a prompt loss weight below 1 gives them.
    return { tokenIds, weights: tokenIds.map((_, place) => (place < length / 2 ? 0.25 : 1)) };
  });
}

async function opened(base: string, full: boolean) {
  const checkpoint = await openCheckpoint(join(FILES, base, "base"));
  const trainable: Trainable = full
    ? { kind: "full" }
    : { kind: "delta", sites: deltaSites(checkpoint.info, { rank: 4, alpha: 4, rankStabilised: false }) };
  const session = await openGradientSession(checkpoint, trainable, { threads: 1 });
  const state = initialState(await initialValues(checkpoint, session.parameters, seededRandom(1)));
  return { session, state };
}

const STEP = {
  schedule: { peak: 1e-3, warmupSteps: 0, totalSteps: 1, decay: "none" as const },
  optimizer: TRAINING_DEFAULTS.optimizer,
  gradientNormMax: 1,
};

describe.each(["llama-gqa-tied", "gpt2", "qwen2", "qwen3"])("every weight of %s", (base) => {
  test("moves the loss as its gradient says", async () => {
    const { session, state } = await opened(base, true);
    await using _ = session;
    const [batch] = packBatch(texts(4), 4096);
    const values = currentValues(state);
    const { gradients } = await session.run(batch!, values);
    expect([...gradients.keys()].sort()).toEqual([...values.keys()].sort());
    for (const [name, gradient] of gradients) {
      // Along the gradient of one tensor the loss changes by its squared norm.
      const norm = gradientNorm([gradient]);
      expect(norm, name).toBeGreaterThan(0);
      const moved = async (distance: number) => {
        const other = values.get(name)!.map((value, index) => value + (distance * gradient[index]!) / norm);
        return (await session.score(batch!, new Map(values).set(name, other))).loss;
      };
      const distance = 0.02;
      const slope = ((await moved(distance)) - (await moved(-distance))) / (2 * distance);
      expect(Math.abs(slope - norm), `${name}: slope ${slope}, norm ${norm}`).toBeLessThan(0.03 * norm + 2e-4);
    }
  });
});

test("a batch computed in parts gives the step of the whole batch, prompt weights and all", async () => {
  const [whole, parts] = [await opened("llama-gqa-tied", false), await opened("llama-gqa-tied", false)];
  await using _whole = whole.session;
  await using _parts = parts.session;
  const one = await trainStep(whole.session, { ...STEP, microbatchTokensMax: 4096 }, whole.state, texts(7));
  const other = await trainStep(parts.session, { ...STEP, microbatchTokensMax: 24 }, parts.state, texts(7));
  expect(other.loss).toBeCloseTo(one.loss, 5);
  expect(other.gradientNorm).toBeCloseTo(one.gradientNorm, 5);
  expect(other.accuracy).toBe(one.accuracy);
});

test("what stops being a number is told, and nothing is changed by it", async () => {
  const { session, state } = await opened("llama-gqa-tied", false);
  await using _ = session;
  const [first] = state.learned.values();
  for (const { values } of state.learned.values()) values.fill(3e38);
  await expect(trainStep(session, { ...STEP, microbatchTokensMax: 4096 }, state, texts(2))).rejects.toMatchObject({
    reason: "weights_not_finite",
  });
  expect(state.step).toBe(0);
  expect(first!.values.every((value) => value === Math.fround(3e38))).toBe(true);
});
