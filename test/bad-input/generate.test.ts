import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import type { FaultReason } from "#kernel";
import {
  AdminServiceService,
  type ChatMessage,
  type GenerateRequest,
  InferenceServiceService,
  ModelServiceService,
  type Prompt,
  Sampling,
  Scope,
} from "#proto";
import { generate, greedy, textPrompt } from "../cluster/generated-text.ts";
import { goodDelta, pushRequests } from "./delta-folder.ts";
import { BASE, faultOf, namesOf, type SteadyCluster, startSteadyCluster } from "./steady-cluster.ts";

let steady: SteadyCluster;
let vocabularySize: number;
let contextTokensMax: number;
beforeAll(async () => {
  steady = await startSteadyCluster();
  const { bases } = await steady.operator.unary(ModelServiceService.listBases, {});
  ({ vocabularySize, contextTokensMax } = bases[0]!);
});
afterAll(() => steady?.[Symbol.asyncDispose]());
afterEach(() => steady.expectSteady());

const asked = (request: GenerateRequest) => faultOf(generate(steady.acme.channel, request));
const sampled = (changes: Partial<Sampling>): GenerateRequest => {
  const request = greedy(steady.acme.alias, "Hello", 4);
  return { ...request, sampling: Sampling.fromPartial({ ...request.sampling, ...changes }) };
};
const prompted = (prompt: Prompt): GenerateRequest => ({ ...greedy(steady.acme.alias, "", 4), prompt });
const tokens = (ids: number[]): Prompt => ({ kind: { $case: "tokens", value: { ids } } });
const chat = (...messages: ChatMessage[]): Prompt => ({ kind: { $case: "chat", value: { messages } } });

describe("sampling over gRPC", () => {
  const { NaN: nan, POSITIVE_INFINITY: infinity } = Number;
  const numbers: readonly [keyof Sampling, string, readonly number[]][] = [
    ["temperature", "temperature", [-0.1, 2.1, 1e308, nan, infinity, -infinity]],
    ["topP", "top_p", [0, -1, 1.1, nan, infinity]],
    ["minP", "min_p", [-0.1, 1.1, nan, infinity]],
    ["presencePenalty", "presence_penalty", [-2.1, 2.1, nan, infinity]],
    ["frequencyPenalty", "frequency_penalty", [-2.1, 2.1, nan, infinity]],
    ["repetitionPenalty", "repetition_penalty", [0, -1, 2.1, nan, infinity]],
    ["maxTokens", "max_tokens", [0, 2 ** 32 - 1]],
    ["logprobs", "logprobs", [21, 2 ** 32 - 1]],
    ["n", "n", [0, 17, 2 ** 32 - 1]],
  ];
  test.each(numbers)("%s", async (name, field, values) => {
    for (const value of values) {
      const fault = await asked(sampled({ [name]: value }));
      expect([value, fault.reason, fault.detail.field, fault.message]).toEqual([
        value,
        "parameter_invalid",
        field,
        expect.stringContaining(field),
      ]);
    }
  });

  const lists: readonly [string, () => Partial<Sampling>, RegExp][] = [
    ["5 stops", () => ({ stop: ["a", "b", "c", "d", "e"] }), /^stop$/],
    ["1,000 stops", () => ({ stop: Array<string>(1000).fill("x") }), /^stop$/],
    ["an empty stop", () => ({ stop: ["a", ""] }), /^stop\[1\]$/],
    ["a stop of 257 characters", () => ({ stop: ["x".repeat(257)] }), /^stop\[0\]$/],
    ["a stop of 1 MB", () => ({ stop: ["x".repeat(1 << 20)] }), /^stop\[0\]$/],
    ["a bias above 100", () => ({ logitBias: { 5: 101 } }), /^logit_bias/],
    ["a bias that is no number", () => ({ logitBias: { 5: nan } }), /^logit_bias/],
    ["a bias for a token outside the vocabulary", () => ({ logitBias: { [vocabularySize]: 1 } }), /^logit_bias/],
    ["301 biases", () => ({ logitBias: Object.fromEntries(Array.from({ length: 301 }, (_, id) => [id, 1])) }), /^logit_bias/],
  ];
  test.each(lists)("%s", async (_, changes, field) => {
    const fault = await asked(sampled(changes()));
    expect([fault.reason, fault.detail.field]).toEqual(["parameter_invalid", expect.stringMatching(field)]);
  });

  test.each([2 ** 31 - 1, 1_000_000])("max_tokens %i, which no context leaves", async (maxTokens) => {
    const fault = await asked(sampled({ maxTokens }));
    expect([fault.reason, fault.detail.field]).toEqual(["context_too_long", expect.stringMatching(/^(max_tokens|prompt)$/)]);
  });
});

describe("prompts over gRPC", () => {
  const cases: readonly [string, () => Prompt | undefined, FaultReason, RegExp][] = [
    ["none", () => undefined, "parameter_invalid", /prompt/],
    ["of no kind", () => ({}) as Prompt, "parameter_invalid", /prompt/],
    ["an empty text", () => textPrompt(""), "prompt_malformed", /prompt/],
    ["no tokens", () => tokens([]), "prompt_malformed", /prompt/],
    ["a token outside the vocabulary", () => tokens([1, vocabularySize]), "prompt_malformed", /prompt/],
    ["the largest token id of the wire", () => tokens([2 ** 32 - 1]), "prompt_malformed", /prompt/],
    ["one token more than the context", () => tokens(Array<number>(contextTokensMax + 1).fill(5)), "context_too_long", /prompt/],
    ["500,000 tokens", () => tokens(Array<number>(500_000).fill(5)), "context_too_long", /prompt/],
    ["a text longer than the context", () => textPrompt("word ".repeat(contextTokensMax * 2)), "context_too_long", /prompt/],
    ["1 MB of one character", () => textPrompt("a".repeat(1 << 20)), "context_too_long", /prompt/],
    ["1 MB of an emoji", () => textPrompt("😀".repeat(1 << 18)), "context_too_long", /prompt/],
    ["a conversation without messages", () => chat(), "prompt_malformed", /prompt.*chat/],
    ["an empty role", () => chat({ role: "", content: "Hi" }), "parameter_invalid", /role/],
    ["a role of 65 characters", () => chat({ role: "x".repeat(65), content: "Hi" }), "parameter_invalid", /role/],
    ["2,049 messages", () => chat(...Array<ChatMessage>(2049).fill({ role: "user", content: "Hi" })), "parameter_invalid", /chat/],
  ];
  test.each(cases)("%s", async (_, prompt, reason, field) => {
    const request = { ...greedy(steady.acme.alias, "", 4), prompt: prompt() };
    const score = { model: request.model, prompt: request.prompt, logprobs: 0 };
    const faults = [await asked(request), await faultOf(steady.acme.channel.unary(InferenceServiceService.score, score))];
    for (const fault of faults) expect([fault.reason, fault.detail.field]).toEqual([reason, expect.stringMatching(field)]);
  });

  test("as many tokens as the context: they can be scored, but nothing can follow", async () => {
    const prompt = tokens(Array<number>(contextTokensMax).fill(5));
    const scored = await steady.acme.channel.unary(InferenceServiceService.score, { model: BASE, prompt, logprobs: 0 });
    expect(scored.tokens).toHaveLength(contextTokensMax);
    const fault = await asked(prompted(prompt));
    expect([fault.reason, fault.detail.field]).toEqual(["context_too_long", "prompt"]);
  });

  test("a role that the template does not know is refused by name, or is plain text to it", async () => {
    const request = prompted(chat({ role: "wizard", content: "Hi" }));
    const outcome = await generate(steady.acme.channel, request).catch((error: unknown) => error);
    if (outcome instanceof Error)
      expect(outcome).toMatchObject({ code: "invalid_argument", message: expect.stringMatching(/role|wizard/) });
    else expect(outcome).toMatchObject({ tokenIds: expect.anything() });
  });

  test.each(["a\0b", "‮right to left", "zero​width", "<s></s><pad>", "\u{10ffff}", "é"])("odd, but text: %j", async (text) => {
    const { usage } = await generate(steady.acme.channel, greedy(steady.acme.alias, text, 2));
    expect(usage.promptTokens).toBeGreaterThan(0);
  });
});

describe("models over gRPC", () => {
  const tooLong = "m".repeat(257);
  const malformed = [
    "",
    tooLong,
    "../x",
    "__proto__",
    "constructor",
    "a\0b",
    "a\r\nb",
    "acme/__proto__",
    "acme/",
    "/",
    "ft:::::",
    "ACME/GOOD",
    "acme/good ",
    "*",
  ];
  test.each(malformed)("%j", async (model) => {
    const fault = await asked(greedy(model, "Hello", 4));
    const [reason, field] = model === "" || model === tooLong ? ["parameter_invalid", "model"] : ["model_unknown", undefined];
    expect([fault.reason, fault.detail.field]).toEqual([reason, field]);
    expect(namesOf(fault)).toContain(model === tooLong ? "model" : model);
  });

  test("another tenant's model is no different from one that does not exist", async () => {
    const { alias, model } = steady.globex;
    const seen = async (name: string) => {
      const fault = await asked(greedy(name, "Hello", 4));
      const { reason, message, code, retry, detail } = fault;
      return JSON.stringify({ reason, message, code, retry, detail }).replaceAll(name, "<name>");
    };
    const unknown = await seen("globex/nothing");
    expect(unknown).toContain("model_unknown");
    for (const name of [alias, model, model.replace(/.$/, "x"), "nobody/good", "no-such-base"])
      expect(await seen(name), name).toBe(unknown);
  });
});

describe("keys over gRPC", () => {
  const withKey = async (key: string, work: (channel: SteadyCluster["admin"]) => Promise<unknown>) => {
    await using channel = steady.cluster.channel(key);
    return await faultOf(work(channel));
  };
  const hello = (channel: SteadyCluster["admin"]) => generate(channel, greedy(steady.acme.alias, "Hello", 2));

  test.each(["x", "dp_", "dp_0000000000000000_0", `dp_${"0".repeat(16)}_${"0".repeat(48)}`, "k".repeat(8_000)])(
    "wrong: %s",
    async (key) => {
      expect((await withKey(key, hello)).reason).toBe("key_unknown");
    },
  );

  test("wrong by one character", async () => {
    const { key } = steady.acme;
    expect(
      (
        await withKey(
          key.replace(/.$/, (last) => (last === "0" ? "1" : "0")),
          hello,
        )
      ).reason,
    ).toBe("key_unknown");
  });

  test("revoked: refused within 5 s, and nobody else's", async () => {
    const { id, text } = await steady.newKey("acme", [Scope.SCOPE_INFER]);
    await using channel = steady.cluster.channel(text);
    await hello(channel);
    await steady.admin.unary(AdminServiceService.revokeKey, { id });
    const refused = async () => (await hello(channel).catch((error: { reason: string }) => error.reason)) as unknown;
    await expect.poll(refused, { timeout: 5_000 }).toBe("key_unknown");
  });

  test("valid, but not for this", async () => {
    const { text: train } = await steady.newKey("acme", [Scope.SCOPE_TRAIN]);
    const { text: infer } = await steady.newKey("acme", [Scope.SCOPE_INFER]);
    const push = (channel: SteadyCluster["admin"]) =>
      channel.clientStream(ModelServiceService.pushDelta, pushRequests({ base: BASE, name: "bad" }, goodDelta()));
    const addBase = (channel: SteadyCluster["admin"]) => channel.unary(ModelServiceService.addBase, { name: "x", directory: "/" });
    const refusals = [await withKey(train, hello), await withKey(infer, push), await withKey(steady.acme.key, addBase)];
    expect(refusals.map((fault) => [fault.reason, fault.message])).toEqual([
      ["scope_missing", expect.stringContaining("infer")],
      ["scope_missing", expect.stringContaining("train")],
      ["scope_missing", expect.stringContaining("admin")],
    ]);
  });
});

test("a deadline of 1 ms", async () => {
  const request = greedy(steady.acme.alias, "Hello", 200);
  const late = Array.fromAsync(steady.acme.channel.serverStream(InferenceServiceService.generate, request, { timeoutMs: 1 }));
  expect((await faultOf(late)).reason).toBe("deadline_passed");
});

test("a message of 5 MB", async () => {
  const fault = await asked(greedy(steady.acme.alias, "x".repeat(5 << 20), 4));
  expect([fault.reason, fault.code]).toEqual(["message_too_large", "resource_exhausted"]);
});
