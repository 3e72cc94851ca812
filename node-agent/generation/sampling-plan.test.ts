import { beforeAll, describe, expect, it } from "vitest";
import { seededRandom } from "#kernel";
import type { BaseInfo } from "#model";
import { Sampling } from "#proto";
import { goldenInfo } from "../testing/golden-base.ts";
import { planSampling } from "./sampling-plan.ts";

describe("the plan of a request's sampling", () => {
  let base: BaseInfo;
  beforeAll(async () => {
    base = await goldenInfo();
  });
  const plan = (sampling: Partial<Sampling>, promptTokens = 10, defaults = {}) =>
    planSampling({ ...Sampling.create({}), ...sampling }, base, defaults, promptTokens, seededRandom(1));

  it.each<[string, Partial<Sampling>]>([
    ["temperature", { temperature: 2.1 }],
    ["temperature", { temperature: -0.1 }],
    ["temperature", { temperature: Number.NaN }],
    ["top_p", { topP: 0 }],
    ["top_p", { topP: 1.01 }],
    ["min_p", { minP: -0.1 }],
    ["presence_penalty", { presencePenalty: 2.5 }],
    ["frequency_penalty", { frequencyPenalty: -2.5 }],
    ["repetition_penalty", { repetitionPenalty: 0 }],
    ["max_tokens", { maxTokens: 0 }],
    ["logprobs", { logprobs: 21 }],
    ["n", { n: 0 }],
    ["n", { n: 17 }],
    ["stop", { stop: ["a", "b", "c", "d", "e"] }],
    ["stop[1]", { stop: ["a", ""] }],
    ["stop[0]", { stop: ["x".repeat(257)] }],
    ["logit_bias[5]", { logitBias: { 5: 101 } }],
    ["logit_bias[320]", { logitBias: { 320: 1 } }],
    ["seed", { seed: "-1" }],
  ])("names %s when it is out of range: %j", (field, sampling) => {
    expect(() => plan(sampling)).toThrow(expect.objectContaining({ reason: "parameter_invalid", detail: { field } }));
  });

  it("fits the tokens asked for into the context, and refuses what does not fit", () => {
    expect(plan({}).maxTokens).toBe(base.contextTokensMax - 10);
    expect(plan({}, base.contextTokensMax - 1).maxTokens).toBe(1);
    expect(plan({ maxTokens: 246 }).maxTokens).toBe(246);
    expect(() => plan({ maxTokens: 247 })).toThrow(
      expect.objectContaining({ reason: "context_too_long", detail: { field: "max_tokens" } }),
    );
    expect(() => plan({}, base.contextTokensMax)).toThrow(
      expect.objectContaining({ reason: "context_too_long", detail: { field: "prompt" } }),
    );
  });

  it("takes the request's word before the base's, and the base's before ours", () => {
    const defaults = { temperature: 0.6, topK: 20 };
    expect(plan({ temperature: 0.1 }, 10, defaults).samplingOf(0)).toMatchObject({
      temperature: 0.1,
      topK: 20,
      topP: 1,
      repetitionPenalty: 1,
    });
    expect(plan({}).samplingOf(0)).toMatchObject({ temperature: 1, topK: 0, minP: 0 });
  });
});
