import { Client, credentials, Metadata, type ServiceError, status } from "@grpc/grpc-js";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { systemClock } from "#kernel";
import { GenerateRequest, InferenceServiceService, openChannel } from "#proto";
import { generate, greedy } from "../cluster/generated-text.ts";
import { faultOf, type SteadyCluster, startSteadyCluster } from "./steady-cluster.ts";

let steady: SteadyCluster;
beforeAll(async () => {
  steady = await startSteadyCluster();
});
afterAll(() => steady?.[Symbol.asyncDispose]());
afterEach(() => steady.expectSteady());

describe("bytes that are no message, over gRPC", () => {
  /** The status that a call with these very bytes ends with. */
  const statusOf = async (bytes: Buffer): Promise<ServiceError> => {
    const client = new Client(steady.cluster.grpc, credentials.createInsecure());
    const metadata = new Metadata();
    metadata.set("authorization", `Bearer ${steady.acme.key}`);
    const { path, responseDeserialize } = InferenceServiceService.generate;
    const options = { deadline: Date.now() + 10_000 };
    const stream = client.makeServerStreamRequest(path, (sent: Buffer) => sent, responseDeserialize, bytes, metadata, options);
    try {
      for await (const _ of stream) throw new Error("it was served");
      throw new Error("it ended well");
    } catch (error) {
      return error as ServiceError;
    } finally {
      client.close();
    }
  };
  /** A field of the given number and wire type. */
  const field = (number: number, wireType: number, ...bytes: number[]) => Buffer.from([(number << 3) | wireType, ...bytes]);
  const deep = (levels: number): Buffer => {
    let nested = Buffer.alloc(0);
    for (let level = 0; level < levels; level++) nested = Buffer.concat([Buffer.from([0x0b]), nested, Buffer.from([0x0c])]);
    return nested;
  };
  const cases: readonly [string, () => Buffer][] = [
    ["nothing", () => Buffer.alloc(0)],
    ["garbage", () => Buffer.from("this is not protobuf, is it?")],
    ["a model that is no UTF-8", () => field(1, 2, 2, 0xc3, 0x28)],
    ["a surrogate in UTF-8", () => field(1, 2, 3, 0xed, 0xa0, 0x80)],
    ["a string of 4 GB, announced", () => field(1, 2, 0xff, 0xff, 0xff, 0xff, 0x0f, 0x61)],
    ["a model of the wrong wire type, which is none", () => field(1, 0, 5)],
    ["a cut message", () => greedyBytes().subarray(0, -3)],
    ["a prompt nested 5,000 deep", () => Buffer.concat([greedyBytes(), deep(5_000)])],
  ];
  const greedyBytes = () => Buffer.from(GenerateRequest.encode(greedy(steady.acme.alias, "Hello", 2)).finish());

  test.each(cases)("%s", async (_, bytes) => {
    const { code, details } = await statusOf(bytes());
    expect([status[code], details]).toEqual(["INVALID_ARGUMENT", expect.stringMatching(/\w+/)]);
  });
});

test("no key over gRPC", async () => {
  await using channel = openChannel({ address: steady.cluster.grpc, clock: systemClock });
  expect((await faultOf(generate(channel, greedy(steady.acme.alias, "Hello", 2)))).reason).toBe("key_missing");
});

describe("HTTP", () => {
  const post = async (body: unknown, options: { readonly path?: string; readonly key?: string | null; readonly type?: string } = {}) => {
    const { path = "completions", key = steady.acme.key, type = "application/json" } = options;
    const response = await fetch(`${steady.cluster.http}/v1/${path}`, {
      method: "POST",
      headers: { "content-type": type, ...(key !== null && { authorization: `Bearer ${key}` }) },
      body: typeof body === "string" || body instanceof Buffer ? (body as string) : JSON.stringify(body),
    });
    const text = await response.text();
    const { error } = JSON.parse(text) as { error?: { message: string; type: string; param: string | null; code: string } };
    if (!error) throw new Error(`it was served: ${text}`);
    return { status: response.status, retried: response.headers.get("x-should-retry"), error };
  };
  const completion = (changes: Readonly<Record<string, unknown>>) => ({
    model: steady.acme.alias,
    prompt: "Hello",
    max_tokens: 2,
    ...changes,
  });
  const conversation = (changes: Readonly<Record<string, unknown>>) => ({
    model: steady.acme.alias,
    messages: [{ role: "user", content: "Hi" }],
    max_tokens: 2,
    ...changes,
  });

  const fields: readonly [string, readonly unknown[]][] = [
    ["temperature", [-1, 3, "hot"]],
    ["top_p", [-0.5, 0, 1.5]],
    ["top_k", [-1, 1.5]],
    ["min_p", [-1, 2]],
    ["n", [0, -1, 17, 1.5]],
    ["max_tokens", [0, -1, 1.5, 2 ** 53]],
    ["logprobs", [21, -1]],
    ["presence_penalty", [3, -3]],
    ["frequency_penalty", [3, -3]],
    ["repetition_penalty", [0, -1, 3]],
    ["seed", [1.5, "x", 2 ** 64]],
    ["stop", [[""], "", ["a", "b", "c", "d", "e"], ["x".repeat(257)], [1], "x\ud800"]],
    ["logit_bias", [{ x: 1 }, { "-1": 1 }, { "5": 101 }, { "99999999": 1 }]],
    ["stream", ["yes"]],
    ["model", [undefined, 5, "", "m".repeat(257)]],
    ["best_of", [0, -1, 1.5, 17, "two"]],
    ["echo", ["yes"]],
    ["suffix", ["end"]],
  ];
  test.each(fields)("completions: %s", async (name, values) => {
    for (const value of values) {
      const { status: code, retried, error } = await post(completion({ [name]: value }));
      expect([value, code, error.type, error.param]).toEqual([value, 400, "invalid_request_error", expect.stringContaining(name)]);
      expect(retried).toBe("false");
    }
  });

  const prompts: readonly [string, unknown, string][] = [
    ["none", undefined, "invalid_value"],
    ["empty", "", "prompt_malformed"],
    ["no tokens", [], "invalid_value"],
    ["several, one of them none", ["a", ""], "prompt_malformed"],
    ["several of two kinds", ["a", [1]], "invalid_value"],
    ["several, one of them longer than the context", [[1], Array(5_000).fill(1)], "context_length_exceeded"],
    ["129 at once", Array(129).fill("a"), "invalid_value"],
    ["a negative token id", [-1], "invalid_value"],
    ["a token id outside the vocabulary", [10_000_000], "prompt_malformed"],
    ["half a token id", [1.5], "invalid_value"],
    ["half a surrogate pair", "a\ud800b", "prompt_malformed"],
    ["longer than the context", "word ".repeat(10_000), "context_length_exceeded"],
    ["1 MB of one character", "a".repeat(1 << 20), "context_length_exceeded"],
  ];
  test.each(prompts)("a prompt: %s", async (_, prompt, code) => {
    const { status: given, error } = await post(completion({ prompt }));
    expect([given, error.code, error.param]).toEqual([400, code, expect.stringContaining("prompt")]);
  });

  const chats: readonly [string, Readonly<Record<string, unknown>>, RegExp][] = [
    ["no messages", { messages: [] }, /messages/],
    ["messages that are none", { messages: "Hi" }, /messages/],
    ["a message without a role", { messages: [{ content: "Hi" }] }, /messages.*role/],
    ["an empty role", { messages: [{ role: "", content: "Hi" }] }, /messages.*role/],
    ["an image", { messages: [{ role: "user", content: [{ type: "image_url", image_url: { url: "x" } }] }] }, /messages/],
    ["half a surrogate pair", { messages: [{ role: "user", content: "\ud800" }] }, /messages/],
    ["more alternatives than 20", { logprobs: true, top_logprobs: 21 }, /logprobs/],
    ["tools", { tools: [{ type: "function" }] }, /tools/],
    ["a response format", { response_format: { type: "json_object" } }, /response_format/],
    ["a tool's word", { messages: [{ role: "tool", content: "5", tool_call_id: "x" }] }, /messages/],
    ["a call of a tool", { messages: [{ role: "assistant", content: null, tool_calls: [{}] }] }, /messages/],
    ["alternatives without log-probabilities", { top_logprobs: 2 }, /top_logprobs/],
    ["more tokens than 0", { max_completion_tokens: 0 }, /max_(completion_)?tokens/],
  ];
  test.each(chats)("a conversation: %s", async (_, changes, param) => {
    const { status: given, error } = await post(conversation(changes), { path: "chat/completions" });
    expect([given, error.type, error.param]).toEqual([400, "invalid_request_error", expect.stringMatching(param)]);
  });

  test("a foreign model is no different from an unknown one", async () => {
    const seen = async (model: string) => JSON.stringify(await post(completion({ model }))).replaceAll(model, "<name>");
    const unknown = await seen("globex/nothing");
    expect(unknown).toContain("model_not_found");
    for (const model of [steady.globex.alias, steady.globex.model, "__proto__", "../x"]) expect(await seen(model)).toBe(unknown);
    const looked = async (model: string) => {
      const response = await fetch(`${steady.cluster.http}/v1/models/${model}`, {
        headers: { authorization: `Bearer ${steady.acme.key}` },
      });
      return [response.status, (await response.text()).replaceAll(model, "<name>")];
    };
    expect(await looked(steady.globex.alias)).toEqual(await looked("globex/nothing"));
  });

  test.each([null, "", "x", "dp_x_y", `dp_${"0".repeat(16)}_${"0".repeat(48)}`])("the key %j", async (key) => {
    const { status: given, error } = await post(completion({}), { key });
    expect([given, error.code]).toEqual([401, "invalid_api_key"]);
  });

  test("bodies that are no request", async () => {
    const refusals = [
      await post("{"),
      await post("[]"),
      await post('"x"'),
      await post(Buffer.from([0x22, 0xff])),
      await post(Buffer.from('{"model":"\xff"}', "latin1")),
      await post('{"model":"\\ud800","prompt":"x"}'),
      await post(`{"model":${"[".repeat(1_000_000)}`),
      await post(`{"model":${'{"a":'.repeat(500_000)}`),
    ];
    for (const { status: given, error } of refusals) expect([given, error.type]).toEqual([400, "invalid_request_error"]);
    const { status: given, error } = await post("a=b", { type: "text/csv" });
    expect([given, error.type]).toEqual([415, "invalid_request_error"]);
  });

  test("5 MB", async () => {
    const { status: given, error } = await post(completion({ prompt: "x".repeat(5 << 20) }));
    expect([given, error.code]).toEqual([413, "message_too_large"]);
  });
});
