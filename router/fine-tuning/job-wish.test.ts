import { expect, test } from "vitest";
import { CreateJobRequest } from "#proto";
import { checkWish } from "./job-wish.ts";

const request = (wish: object) => CreateJobRequest.fromPartial({ model: "demo-base", trainingFile: "file-1", ...wish } as never);
const hyper = (name: string, value: unknown) => request({ hyperparameters: { [name]: value } });

test("what is not said is left to be chosen", () => {
  expect(checkWish(request({}))).toEqual({
    ...{ suffix: "tuned", seed: undefined, auto: false, classificationMetrics: false, metadata: {}, integrations: [] },
    wished: { targets: [] },
  });
});

test.each<[string, CreateJobRequest]>([
  ["hyperparameters.epochs", hyper("epochs", 0)],
  ["hyperparameters.epochs", hyper("epochs", 1_000_000)],
  ["hyperparameters.batch_size", hyper("batchSize", 257)],
  ["hyperparameters.learning_rate_multiplier", hyper("learningRateMultiplier", Number.NaN)],
  ["hyperparameters.learning_rate_multiplier", hyper("learningRateMultiplier", Number.POSITIVE_INFINITY)],
  ["hyperparameters.learning_rate_multiplier", hyper("learningRateMultiplier", 0)],
  ["hyperparameters.rank", hyper("rank", 513)],
  ["hyperparameters.alpha", hyper("alpha", -1)],
  ["hyperparameters.prompt_loss_weight", hyper("promptLossWeight", 1.5)],
  ["hyperparameters.checkpoint_steps", hyper("checkpointSteps", 0)],
  ["hyperparameters.targets", hyper("targets", ["../../etc"])],
  ["suffix", request({ suffix: "No Good" })],
  ["suffix", request({ suffix: "x".repeat(41) })],
  ["seed", request({ seed: String(2n ** 64n - 1n) })],
  ["metadata", request({ metadata: Object.fromEntries(Array.from({ length: 17 }, (_, index) => [`k${index}`, "v"])) })],
  ["metadata", request({ metadata: { key: "v".repeat(513) } })],
  ["integrations[0]", request({ integrations: [{ type: "elsewhere", project: "p" }] })],
  ["integrations[0].wandb.project", request({ integrations: [{ type: "wandb" }] })],
])("%s is refused by its name", (field, wish) => {
  expect(() => checkWish(wish)).toThrow(expect.objectContaining({ code: "invalid_argument", detail: { field } }));
});
