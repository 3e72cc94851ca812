import { describe, expect, test } from "vitest";
import type { Fault } from "#kernel";
import { type Prompt, Sampling } from "#proto";
import { checkPrompt, checkSampling } from "./request-check.ts";

function faultOf(check: () => void): { reason: string; field: string | undefined } | undefined {
  try {
    check();
    return undefined;
  } catch (error) {
    return { reason: (error as Fault).reason, field: (error as Fault).detail.field };
  }
}

const NOT_NUMBERS = [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];

/** Per field: what is just allowed, and what is just not. */
const CASES: readonly [field: string, key: keyof Sampling, good: readonly unknown[], bad: readonly unknown[]][] = [
  ["temperature", "temperature", [0, 1, 2], [-0.1, 2.1, 1e308, ...NOT_NUMBERS]],
  ["top_p", "topP", [0.01, 1], [0, -1, 1.01, ...NOT_NUMBERS]],
  ["top_k", "topK", [0, 1, 50_000], [-1, 0.5, ...NOT_NUMBERS]],
  ["min_p", "minP", [0, 1], [-0.1, 1.1, ...NOT_NUMBERS]],
  ["presence_penalty", "presencePenalty", [-2, 2], [-2.1, 2.1, ...NOT_NUMBERS]],
  ["frequency_penalty", "frequencyPenalty", [-2, 2], [-2.1, 2.1, ...NOT_NUMBERS]],
  ["repetition_penalty", "repetitionPenalty", [0.1, 2], [0, 2.1, ...NOT_NUMBERS]],
  ["max_tokens", "maxTokens", [1, 2 ** 31 - 1], [0, -1, 1.5, 2 ** 31, ...NOT_NUMBERS]],
  ["logprobs", "logprobs", [0, 20], [-1, 21, 1e6, ...NOT_NUMBERS]],
  ["n", "n", [1, 16], [0, 17, 1.5, ...NOT_NUMBERS]],
  ["seed", "seed", ["0", "18446744073709551615"], ["18446744073709551616", "-1", "1.5", "x", ""]],
  ["stop", "stop", [[], ["a", "b", "c", "d"]], [["a", "b", "c", "d", "e"]]],
  [
    "stop[1]",
    "stop",
    [["a", "x".repeat(256)]],
    [
      ["a", ""],
      ["a", "x".repeat(257)],
      ["a", "\ud800"],
    ],
  ],
  ["logit_bias", "logitBias", [biases(300)], [biases(301), { [-1]: 1 }, { 1.5: 1 }]],
  ["logit_bias[7]", "logitBias", [{ 7: -100 }, { 7: 100 }], [{ 7: -100.5 }, { 7: 101 }, { 7: Number.NaN }]],
];

function biases(count: number): Record<number, number> {
  return Object.fromEntries(Array.from({ length: count }, (_, token) => [token, 1]));
}

describe.each(CASES)("%s", (field, key, good, bad) => {
  test.each(good.map((value) => [value]))("takes %j", (value) => {
    expect(faultOf(() => checkSampling({ ...Sampling.create(), [key]: value }))).toBeUndefined();
  });
  test.each(bad.map((value) => [value]))("refuses %j by name", (value) => {
    expect(faultOf(() => checkSampling({ ...Sampling.create(), [key]: value }))).toEqual({ reason: "parameter_invalid", field });
  });
});

const user = { role: "user", content: "hello" };

describe("a prompt", () => {
  test.each<[Prompt]>([
    [{ kind: { $case: "text", value: "hello" } }],
    [{ kind: { $case: "tokens", value: { ids: [0, 7] } } }],
    [{ kind: { $case: "chat", value: { messages: [user, { role: "assistant", content: "" }] } } }],
  ])("may be %j", (prompt) => expect(faultOf(() => checkPrompt(prompt))).toBeUndefined());

  test.each<[string, string, Prompt | undefined]>([
    ["prompt", "parameter_invalid", undefined],
    ["prompt", "parameter_invalid", { kind: undefined }],
    ["prompt.text", "prompt_malformed", { kind: { $case: "text", value: "" } }],
    ["prompt.text", "prompt_malformed", { kind: { $case: "text", value: "half \ud83d" } }],
    ["prompt.tokens", "prompt_malformed", { kind: { $case: "tokens", value: { ids: [] } } }],
    ["prompt.tokens[1]", "prompt_malformed", { kind: { $case: "tokens", value: { ids: [1, -1] } } }],
    ["prompt.chat", "prompt_malformed", { kind: { $case: "chat", value: { messages: [] } } }],
    ["prompt.chat", "parameter_invalid", { kind: { $case: "chat", value: { messages: Array(2049).fill(user) } } }],
    ["prompt.chat.messages[0].role", "parameter_invalid", { kind: { $case: "chat", value: { messages: [{ ...user, role: "" }] } } }],
  ])("at fault in %s is refused by name (%s)", (field, reason, prompt) => {
    expect(faultOf(() => checkPrompt(prompt))).toEqual({ reason, field });
  });
});
