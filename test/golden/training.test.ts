import { readdirSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { openCheckpoint } from "#model";
import { ADAMW_DEFAULTS, type Example, initialState, openGradientSession, trainStep } from "#trainer";
import { readFloats } from "./golden-case.ts";

/** Fine-tuning by our trainer against PyTorch and peft (make_training.py): same weights, data and order. */

const TRAINING = join(import.meta.dirname, "training");
/** As asked: of the loss, at every one of 50 steps. */
const TOLERANCE = 1e-3;

interface Expected {
  readonly base: string;
  readonly settings: {
    readonly rank: number;
    readonly alpha: number;
    readonly rate: number;
    readonly warmupSteps: number;
    readonly weightDecay: number;
    readonly gradientNormMax: number;
  };
  readonly examples: readonly { readonly tokens: readonly number[]; readonly promptTokens: number }[];
  readonly batches: readonly (readonly number[])[];
  readonly losses: readonly number[];
  readonly norms: readonly number[];
}

describe.each(readdirSync(TRAINING))("%s", (name) => {
  // In turns of 64 places a batch is computed in several parts; the sum must be the same.
  test.each([4096, 64])("50 steps have the losses of PyTorch and peft, %i places at a time", async (microbatchTokensMax) => {
    const directory = join(TRAINING, name);
    const expected = JSON.parse(await readFile(join(directory, "expected.json"), "utf8")) as Expected;
    const { rank, alpha, rate, warmupSteps, weightDecay, gradientNormMax } = expected.settings;
    const checkpoint = await openCheckpoint(join(import.meta.dirname, "files", expected.base));
    const initial = await readFloats(join(directory, "initial.safetensors"));
    const trained = checkpoint.info.linears.filter(({ module }) => initial.has(`${module}.lora_A`));
    const sites = trained.map((linear) => ({ linear, rank, scale: alpha / rank }));
    await using session = await openGradientSession(checkpoint, { kind: "delta", sites });
    expect(session.parameters.map((parameter) => parameter.name).sort()).toEqual([...initial.keys()].sort());
    const state = initialState(initial);
    const plan = {
      schedule: { peak: rate, warmupSteps, totalSteps: expected.batches.length, decay: "linear" as const },
      optimizer: { ...ADAMW_DEFAULTS, weightDecay },
      gradientNormMax,
      microbatchTokensMax,
    };
    for (const [step, batch] of expected.batches.entries()) {
      const report = await trainStep(
        session,
        plan,
        state,
        batch.map((index) => example(expected.examples[index]!)),
      );
      expect(Math.abs(report.loss - expected.losses[step]!), `loss ${report.loss} at step ${step}`).toBeLessThan(TOLERANCE);
      expect(Math.abs(report.gradientNorm / expected.norms[step]! - 1), `norm ${report.gradientNorm} at step ${step}`).toBeLessThan(5e-3);
    }
    const final = await readFloats(join(directory, "final.safetensors"));
    for (const [parameter, values] of final) {
      const ours = state.learned.get(parameter)!.values;
      const worst = values.reduce((most, value, index) => Math.max(most, Math.abs(value - ours[index]!)), 0);
      expect(worst, parameter).toBeLessThan(5e-3);
    }
  });
});

function example({ tokens, promptTokens }: Expected["examples"][number]): Example {
  return { tokenIds: tokens, weights: tokens.map((_, index) => (index < promptTokens ? 0 : 1)) };
}
