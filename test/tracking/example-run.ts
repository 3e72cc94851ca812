import type { RunEnd, TrackedRun, TrackedStep } from "#trainer";

export const TRAINING_TEXT = '{"prompt":"2+2=","completion":" 4"}\n'.repeat(50);

export function exampleRun(changes: Partial<TrackedRun> = {}): TrackedRun {
  return {
    id: "ftjob-abc123",
    name: "ftjob-abc123",
    tags: ["nightly"],
    baseModel: "demo-base",
    startedAtMs: Date.UTC(2026, 10, 23, 7, 30, 5),
    config: { model: "demo-base", seed: 7, status: "running", result_files: ["file-r"], hyperparameters: { n_epochs: 3, batch_size: 4 } },
    trainingFile: {
      id: "file-train1",
      filename: "my data.jsonl",
      examples: 50,
      metadata: { id: "file-train1", purpose: "fine-tune" },
      content: async () => new Blob([TRAINING_TEXT]),
    },
    ...changes,
  };
}

/** The same step is the same metrics, as a trainer that repeats a step gives them. Every tenth is validated. */
export function exampleStep(step: number): TrackedStep {
  return {
    step,
    atMs: Date.UTC(2026, 10, 23, 7, 30, 5) + step * 250,
    elapsedS: step / 4,
    trainLoss: 3 / (step + 1),
    trainMeanTokenAccuracy: 1 - 1 / (step + 1),
    ...(step % 10 === 0 && { validLoss: 4 / step, validMeanTokenAccuracy: 0.5, fullValidLoss: 3.5 / step }),
    learningRate: 1e-4,
    trainedTokens: step * 128,
  };
}

export const SUCCEEDED: RunEnd = {
  outcome: "succeeded",
  atMs: Date.UTC(2026, 10, 23, 7, 40),
  summary: { fine_tuned_model: "ft:demo-base:acme::abc123", trained_tokens: 12_800 },
};
